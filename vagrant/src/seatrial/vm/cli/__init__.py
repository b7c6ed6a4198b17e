"""``seatrial vm``."""
