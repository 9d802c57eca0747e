"""The claims, and the report that judges them."""
