"""Trained policies for use elsewhere: SavedModel, TFLite, cards, their evaluation."""
