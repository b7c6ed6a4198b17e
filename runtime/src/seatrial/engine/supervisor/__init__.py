"""The small process above each container. Only the standard library, and nothing of the daemon."""
