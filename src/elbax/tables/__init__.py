"""Tables with holes: what each column is, which cells are there, and the units of their user."""
