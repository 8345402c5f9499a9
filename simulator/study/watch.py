"""Whoever wants to know how far a study is."""


class Watch:
    """Is told how far a study is; this one says nothing."""

    def begins(self, what: str, total: int, done: int) -> None:
        """Take note that so much is to be done, of which so much was done before."""

    def advances(self, by: int) -> None:
        """Take note that so much more is done."""

    def notices(self, sentence: str) -> None:
        """Take note of something that stops nothing."""
