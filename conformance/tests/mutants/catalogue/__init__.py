"""The catalogue of mutants, by chapter of the suite."""

from conformance.tests.mutants.catalogue import config, hooks, lifecycle
from conformance.tests.mutants.mutation import MUTANTS

__all__ = ["MUTANTS", "config", "hooks", "lifecycle"]
