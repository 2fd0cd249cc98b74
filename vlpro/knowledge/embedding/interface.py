"""What turns text into vectors: the interface, which every implementation keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlpro.errors import EngineError

__all__ = ["Embedder", "Vectors"]

Vectors = NDArray[np.float32]
"""Rows of unit length: ``[n, dimensions]``."""


class Embedder(ABC):
    """Makes vectors. Two texts that mean the same lie near each other: their dot product is near 1."""

    @property
    @abstractmethod
    def model(self) -> str:
        """Which model, with its version. Vectors of another one cannot be compared with its own."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of a vector."""

    @abstractmethod
    async def query(self, text: str) -> Vectors:
        """The vector of a question: ``[dimensions]``.

        Raises:
            EngineError: The model failed, or does not answer.
        """

    @abstractmethod
    async def passages(self, texts: Sequence[str]) -> Vectors:
        """The vectors of what may answer one: ``[len(texts), dimensions]``, in order.

        Raises:
            EngineError: The model failed, or does not answer.
        """

    @property
    def sees(self) -> bool:
        """Whether it makes vectors of pages' pictures, too, which its questions' vectors can be compared with."""
        return False

    async def pages(self, pictures: Sequence[bytes]) -> Vectors:  # noqa: ARG002 - the signature is the interface's
        """The vectors of pages as they look: ``[len(pictures), dimensions]``, in order; where :attr:`sees`.

        Args:
            pictures: A JPEG each.

        Raises:
            EngineError: The model does not see, failed, or does not answer.
        """
        raise EngineError("This model reads text only.", zh="该向量模型只支持文字。")

    async def stop(self) -> None:  # noqa: B027 - nothing to let go of is common
        """Let go of what it holds; the next call starts it again."""
