"""``seatrial bench``, one module per subcommand."""
