"""Differential runs: one config on several runtimes, and what they make of it otherwise."""
