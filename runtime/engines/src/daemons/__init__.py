"""The engines that are tried on a runtime, each with all its state in a room of its own."""
