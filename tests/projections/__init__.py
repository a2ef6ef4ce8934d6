"""The rules of the projections: what the log folds into, on both databases."""
