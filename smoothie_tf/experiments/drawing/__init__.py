"""Learning curves and the style of every picture."""
