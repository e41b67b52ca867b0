"""What a store's database lets one do inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Session(Protocol):
    """A connection inside a transaction. ``?`` stands for a parameter."""

    def rows(self, query: str, parameters: Sequence[object] = (), /) -> list[Any]:
        """All rows that a query gives."""
        ...

    def run(self, statement: str, parameters: Sequence[object] = (), /) -> None:
        """Carry out a statement that gives no rows."""
        ...

    def run_many(self, statement: str, rows: Iterable[Sequence[object]], /) -> None:
        """Carry out a statement once per row of parameters."""
        ...
