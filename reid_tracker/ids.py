"""Ids that an owner hands out: no class counters, no globals."""


class IdAllocator:
    """Hands out 1, 2, 3, ... The run owns one and gives it to whoever must share the numbering."""

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def __call__(self) -> int:
        """The next free id."""
        allocated = self._next
        self._next += 1
        return allocated
