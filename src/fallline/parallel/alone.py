"""One process: every verb gives back what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = ["Alone"]

Value = TypeVar("Value")


class Alone:
    """The processes that train together, of which there is one.

    `Processes` has the same attributes and verbs. Where there are many, each of them has to say the same verbs in the same order,
    or they wait for each other in vain.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and how many there are.
    local_rank : int
        Its number among those on the same machine.
    machine : sequence of int
        The ranks on the same machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    machine: Sequence[int] = (0,)

    def sum(self, array: Any) -> Any:
        """Replace an array or a tensor, on each process, by the sum of all; return it. Its bits are the same everywhere."""
        return array

    def broadcast(self, value: Value) -> Value:
        """What the process of rank 0 gives."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """What each process gives, in the order of their ranks."""
        return [value]

    def agreed(self, value: Value | None) -> Value | None:
        """What the first process gives that does not give None; None if none does."""
        return value

    def wait(self) -> None:
        """Go on when all have come here."""
