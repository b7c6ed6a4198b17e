"""All attacks: importing their modules puts them into ``ATTACKS``."""

from attacking import executables, hosts, images, privileges, races, syscalls
from attacking.attack import ATTACKS

MODULES = (executables, hosts, images, privileges, races, syscalls)
__all__ = ["ATTACKS", "MODULES"]
