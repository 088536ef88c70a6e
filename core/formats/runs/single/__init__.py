"""Files that hold one training run each: one module per kind, which holds its row."""
