"""What a network of Qwen3-VL is to those that run questions through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vlpro.engines.qwen.prefixes import Features, State
    from vlpro.imaging.picture import Picture

__all__ = ["Model", "Row", "Seen", "Stopped"]

Array = TypeVar("Array", bound=Any)


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nobody waits any more for what was being computed."""


@dataclass(slots=True)
class Row:
    """A piece of one sequence in a step.

    Args:
        state: Of what came before; the step adds to it.
        ids: ``(tokens,)``.
        positions: ``(3, tokens)``.
        pictures: Features whose cells lie in this piece: where they begin in it, from which and to which cell.
        wants_logits: Whether the last token's logits are wanted.
    """

    state: State
    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    pictures: list[tuple[int, Features, int, int]]
    wants_logits: bool


class Model(Protocol):
    """The network. All calls come from the scheduler's thread."""

    token_bytes: int
    """Memory of one token's keys and values."""

    def new_state(self) -> State:
        """Of an empty sequence."""

    def see(self, picture: Picture, rows: int, columns: int, between: Callable[[], None]) -> Features:
        """Features of a picture of so many cells.

        ``between`` is called between layers: it may take steps of other sequences, and what it raises ends the work.
        """

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        """Read each row; logits ``(vocabulary,)`` of those that want them. Either all states grow, or none.

        ``stopped`` is asked now and then; where it says yes, the step raises :class:`Stopped`.
        """

    def release(self) -> None:
        """Give back memory that nothing is kept in, such as work space in which a picture was computed."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[Array]):
    """Features of one picture, in the network's own kind of arrays.

    Args:
        merged: ``(cells, hidden)``: what stands in the prompt for the picture.
        deep: Likewise for each of the first text layers, to which they are added (DeepStack).
    """

    merged: Array
    deep: tuple[Array, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return int(self.merged.nbytes + sum(one.nbytes for one in self.deep))
