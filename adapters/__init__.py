"""Programs that turn a recording system's live stream into spike counts per presentation."""
