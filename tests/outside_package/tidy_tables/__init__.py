"""Parts for headrace pipelines; see pyproject.toml for their plain names."""
