"""What all of XDream's programs share: messages, their encoding, and the peers' end of the conversation."""
