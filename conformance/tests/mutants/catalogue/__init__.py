"""The catalogue of mutants, by chapter of the suite."""

from conformance.tests.mutants.catalogue import (
    cgroups,
    config,
    devices,
    features,
    hooks,
    lifecycle,
    linux,
    mounts,
    namespaces,
    network,
    open_verdicts,
    process,
    seccomp,
)
from conformance.tests.mutants.mutation import MUTANTS

__all__ = [
    "MUTANTS",
    "cgroups",
    "config",
    "devices",
    "features",
    "hooks",
    "lifecycle",
    "linux",
    "mounts",
    "namespaces",
    "network",
    "open_verdicts",
    "process",
    "seccomp",
]
