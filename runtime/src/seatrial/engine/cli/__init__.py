"""The command ``seatriald``."""
