"""The training loop: collect, learn, evaluate, checkpoint."""
