"""How fast the loop is, always beside something it can be compared with in the same run."""
