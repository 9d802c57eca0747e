"""Table 1's hyperparameter search."""
