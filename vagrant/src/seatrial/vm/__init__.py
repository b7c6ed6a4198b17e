"""Guests: the suite on other kernels and cgroup modes, in Vagrant's virtual machines."""
