"""Values and pure functions: features, schemas, statistics. Standard library, NumPy and PyArrow only."""
