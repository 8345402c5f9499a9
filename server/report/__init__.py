"""A session on one page that needs nothing beside it: read at 2 a.m., printed, mailed, kept."""
