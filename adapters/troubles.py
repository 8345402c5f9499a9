"""What a wire had to do without, in sentences that are counted."""

MAX_SENTENCES = 100
"""Bytes from the network make up the sentences: there must be an end to them."""


def note(troubles: dict[str, int], sentence: str) -> None:
    """Count a sentence."""
    if sentence in troubles or len(troubles) < MAX_SENTENCES:
        troubles[sentence] = troubles.get(sentence, 0) + 1
