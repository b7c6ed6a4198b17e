"""Mutants: the reference runtime with one thing wrong, each to be caught by the rows it breaks.

A requirement whose tests cannot fail is a defect of the suite. This package is the only code that
knows both sides: it changes ``seatrial.oci`` and runs ``seatrial.conformance`` on the outcome.
"""
