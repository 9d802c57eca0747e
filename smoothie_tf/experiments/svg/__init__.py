"""Claims about the SVG family, and measurements on its trained agents."""
