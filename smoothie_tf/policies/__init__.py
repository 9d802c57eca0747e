"""Policies as TF-Agents `TFPolicy` objects."""
