"""Figures as data: what is compared with what."""
