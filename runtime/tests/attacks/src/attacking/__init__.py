"""Attacks on a container runtime that are known from others, each tried from inside of a container.

``attacks`` has them by their numbers, ``ground`` is where they take place, ``variants`` takes out
the defences of the reference runtime one by one, so that each attack is seen to be one.
"""
