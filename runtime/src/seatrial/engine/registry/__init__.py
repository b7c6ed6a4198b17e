"""Registries: where images are pulled from and pushed to (the OCI distribution spec's client)."""
