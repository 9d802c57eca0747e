"""Defines runs, reads their status, and launches them as processes or on Ray."""
