"""The commands, one module each: ``OPTIONS`` (name → takes a value) and ``run(call)``."""
