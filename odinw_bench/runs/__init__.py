"""One cell of the benchmark and grids of them: what was asked for, what is done, and its record."""
