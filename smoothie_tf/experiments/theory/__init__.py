"""Figures 1 and 2, identities, ground truth, ablations."""
