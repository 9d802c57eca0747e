"""Networks of the paper's implementation details (supplement D)."""
