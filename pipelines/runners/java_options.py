"""Options that job servers know and Beam's Python SDK doesn't, as they describe themselves.

Read from `DescribePipelineOptions` of the servers of Beam 2.62; a server tells them only once it runs, and
options are checked before anything starts.
"""

from __future__ import annotations

from collections.abc import Mapping

SWITCHES: Mapping[str, bool] = {
    "allow_non_restored_state": False,
    "attached_mode": True,
    "auto_balance_write_files_sharding_enabled": False,
    "cache_disabled": False,
    "disable_metrics": False,
    "enable_heap_dumps": False,
    "enable_spark_metric_sinks": True,
    "enable_stable_input_drain": False,
    "externalized_checkpoints_enabled": False,
    "fail_on_checkpointing_errors": True,
    "faster_copy": False,
    "finish_bundle_before_checkpointing": False,
    "force_unaligned_checkpoint_enabled": False,
    "load_balance_bundles": False,
    "log_mdc": True,
    "object_reuse": False,
    "operator_chaining": True,
    "re_iterable_group_by_key_result": False,
    "retain_docker_containers": False,
    "retain_externalized_checkpoints_on_cancellation": False,
    "unaligned_checkpoint_enabled": False,
    "use_data_stream_for_batch": False,
}
"""Options that are on or off, and what they are where nothing is said."""

NUMBERS = frozenset(
    {
        "auto_watermark_interval",
        "batch_interval_millis",
        "bundle_size",
        "checkpoint_duration_millis",
        "checkpoint_timeout_millis",
        "checkpointing_interval",
        "environment_expiration_millis",
        "execution_retry_delay",
        "file_input_split_max_size_m_b",
        "grouping_table_max_size_mb",
        "job_check_interval_in_secs",
        "latency_tracking_interval",
        "max_bundle_size",
        "max_bundle_time_mills",
        "max_records_per_batch",
        "min_pause_between_checkpoints",
        "min_read_time_millis",
        "num_concurrent_checkpoints",
        "number_of_execution_retries",
        "shutdown_sources_after_idle_ms",
        "streaming_timeout_ms",
    }
)
"""Options that are whole numbers."""

TEXTS = frozenset(
    {
        "app_name",
        "checkpoint_dir",
        "checkpointing_mode",
        "default_environment_config",
        "default_environment_type",
        "execution_mode_for_batch",
        "flink_conf_dir",
        "report_checkpoint_duration",
        "savepoint_path",
        "semi_persist_dir",
        "stable_unique_names",
        "state_backend",
        "state_backend_storage_path",
        "storage_level",
    }
)
"""Options that take any text."""
