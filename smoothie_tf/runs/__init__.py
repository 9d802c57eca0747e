"""Definition, progress and launching of runs, as local processes or on Ray."""
