"""What a run is, how far it is, and launching runs by processes or Ray."""
