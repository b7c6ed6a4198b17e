"""Networks: bridges, addresses, names, published ports, and the rules between them."""
