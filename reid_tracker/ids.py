"""Ids that an owner hands out: no class counters, no globals."""


class IdAllocator:
    """Hands out 1, 2, 3, ... The run owns one and gives it to whoever must share the numbering.

    Args:
        first: to be handed out.
        step: between two ids; several allocators with as many different firsts never hand out the same.
    """

    def __init__(self, first: int = 1, step: int = 1) -> None:
        self._next = first
        self._step = step

    def __call__(self) -> int:
        """The next free id."""
        allocated = self._next
        self._next += self._step
        return allocated
