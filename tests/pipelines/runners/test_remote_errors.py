"""What people get to read of what runners told; the texts are as Flink and Beam's job service gave them."""

from __future__ import annotations

from headrace.pipelines.runners.remote_errors import is_lasting, python_trace, remote_error

BEAM = '  File "/v/site-packages/apache_beam/runners/worker/sdk_worker.py", line 310, in _execute\n'
WORKER = (
    "java.lang.RuntimeException: Error received from SDK harness for instruction 3: "
    "Traceback (most recent call last):\n"
    '  File "apache_beam/runners/common.py", line 1512, in apache_beam.runners.common.DoFnRunner.process\n'
    '  File "/tmp/project/own.py", line 11, in parse\n'
    "    return 1 / row\n"
    "           ~~^~~~~\n"
    "ZeroDivisionError: division by zero\n"
    "\n"
    "During handling of the above exception, another exception occurred:\n"
    "\n"
    "Traceback (most recent call last):\n" + BEAM + "    response = task()\n"
    '  File "/tmp/project/own.py", line 11, in parse\n'
    "    return 1 / row\n"
    "ZeroDivisionError: division by zero [while running 'read/ParDo(_Do)']\n"
    "\n"
    "\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(FnApiControlClient.java)\n"
    "\tat java.base/java.lang.Thread.run(Thread.java:840)\n"
)
SERVICE = (
    "Traceback (most recent call last):\n" + BEAM + "    self.result = self._invoke_runner()\n"
    "RuntimeError: Traceback (most recent call last):\n" + BEAM + "    response = task()\n"
    "ModuleNotFoundError: No module named 'own_transforms'\n"
    "\n"
)
LOST = (
    "org.apache.beam.vendor.grpc.v1p60p1.io.grpc.StatusRuntimeException: "
    "org.apache.beam.vendor.grpc.v1p60p1.io.grpc.StatusRuntimeException: CANCELLED: client cancelled"
)


def test_the_first_exception_is_told_without_beam_and_java():
    error = remote_error("the job j on flink failed", WORKER)
    assert str(error).startswith("the job j on flink failed: ZeroDivisionError: division by zero\n")
    (note,) = error.__notes__
    assert note == (
        "Traceback (most recent call last):\n"
        '  File "/tmp/project/own.py", line 11, in parse\n'
        "    return 1 / row\n"
        "           ~~^~~~~\n"
        "ZeroDivisionError: division by zero\n"
    )
    assert not is_lasting(WORKER)


def test_a_module_that_workers_lack_has_a_remedy_and_is_not_tried_again():
    error = remote_error("the job j on portable failed", SERVICE)
    assert "failed: ModuleNotFoundError: No module named 'own_transforms'" in str(error)
    assert "'own_transforms': install it where they run" in error.problems[0].remedy
    assert is_lasting(SERVICE)


def test_a_lost_worker_is_told_as_such():
    error = remote_error("the job j on flink failed", LOST)
    assert "a worker was lost (StatusRuntimeException: CANCELLED: client cancelled)" in str(error)
    assert "memory" in error.problems[0].remedy
    text = "the worker worker_0 was killed by SIGKILL\n" + SERVICE
    assert str(remote_error("failed", text)).startswith("failed: the worker worker_0 was killed by SIGKILL")


def test_java_alone_is_told_by_its_last_cause():
    text = (
        "java.lang.RuntimeException: a\n\tat A.b(A.java:1)\nCaused by: java.io.IOException: no space\n\tat C"
    )
    assert str(remote_error("failed", text)).startswith("failed: IOException: no space\n")
    assert str(remote_error("failed", "java.lang.Error: x\n\tat A.b(A.java:1)")).startswith(
        "failed: Error: x\n"
    )
    assert python_trace(text) == ""
    assert str(remote_error("failed", "")).startswith("failed\n")


def test_a_long_traceback_without_an_end_is_read_to_its_end():
    """Exceptions in groups end with a line of dashes; a pattern that tries all ways would never be done."""
    frames = "".join(f'  |   File "/tmp/project/own.py", line {n}, in f\n  |     f()\n' for n in range(60))
    begun = "RuntimeError: + Exception Group Traceback (most recent call last):\n"
    text = f"{begun}{frames}    +----\n\n\tat java.X\n"
    assert python_trace(text) == ""
    assert remote_error("the job failed", text).problems[0].what.startswith("the job failed: RuntimeError")
