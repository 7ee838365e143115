"""Studies for maintainers: what members, rows, centers and imports cost."""
