"""Hyperparameter search over the ranges of Table 1."""
