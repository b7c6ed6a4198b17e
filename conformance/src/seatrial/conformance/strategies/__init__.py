"""Hypothesis strategies for the values of a config, one module per chapter of the spec."""
