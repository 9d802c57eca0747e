"""Trains one run: the loop, replay, checkpoints, and the run directory."""
