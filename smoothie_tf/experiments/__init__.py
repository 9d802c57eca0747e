"""Grids of runs: which there are, how they are run, and what is drawn of them.

Nothing here imports TensorFlow: a launcher starts at once, and the runs are processes
of their own.
"""
