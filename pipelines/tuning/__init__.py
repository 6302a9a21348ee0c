"""Hyperparameter search over any parameters of any steps of a pipeline; see `search.tune`."""
