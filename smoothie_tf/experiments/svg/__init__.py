"""The SVG family's claims and what its figures measure on trained agents."""
