"""Docker's HTTP interface: one module per noun of its paths."""
