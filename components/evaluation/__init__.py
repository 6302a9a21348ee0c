"""Predictions, metrics, slices and gates."""
