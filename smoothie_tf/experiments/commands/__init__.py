"""The commands behind reproduce/."""
