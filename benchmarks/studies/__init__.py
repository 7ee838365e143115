"""Studies for maintainers: the costs of members, rows, centers and imports."""
