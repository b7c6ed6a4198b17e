"""The engine: what the real ``docker`` command talks to, above any OCI runtime's command line."""
