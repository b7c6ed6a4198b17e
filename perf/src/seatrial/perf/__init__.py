"""Benchmarks of container start-up, phase by phase, beside the kernel's floor."""
