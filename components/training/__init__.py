"""Keras networks: their tasks, their training, the order of their examples."""
