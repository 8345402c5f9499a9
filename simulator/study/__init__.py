"""Studies in silico: a grid of evolutions run on many cores, kept in one store, and reported beside the paper's."""
