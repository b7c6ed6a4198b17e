"""The conformance harness: judges an OCI runtime against every statement of the runtime-spec."""
