"""Figures 1 and 2, Section 3, identities, ground truth and ablations."""
