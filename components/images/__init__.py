"""Images: what a file is and what becomes of it, and how files come from the network."""
