"""The loop: collect, learn, evaluate, checkpoint."""
