"""The ``seatrial`` command, one module per subcommand."""
