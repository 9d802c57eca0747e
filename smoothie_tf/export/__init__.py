"""Exports trained policies as SavedModel and TFLite, and evaluates the exports."""
