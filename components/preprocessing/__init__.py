"""From the grammar of features to fitted constants, and the two planes that apply them."""
