"""The input of training: which example comes when, where it lies, and how it gets there."""
