"""Learning curves, and the style of all pictures."""
