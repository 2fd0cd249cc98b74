"""Logits → the next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vlpro.engines.interface import Request

__all__ = ["Defaults", "Sampler"]

_ROWS = 64


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the model's makers recommend (``generation_config.json``), where a request does not say.

    Args:
        temperature: 0 is always the likeliest.
        top_p: Over 0 to 1.
        top_k: 0: all.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0


class Sampler:
    """Chooses the tokens of one answer.

    Temperature 0 where neither the request says nor the answer is free: with a form to keep to, the likeliest is
    wanted.

    Args:
        request: Its sampling.
        defaults: The model's.
    """

    def __init__(self, request: Request, defaults: Defaults) -> None:
        asked = request.sampling
        usual = defaults.temperature if request.response_format is None else 0.0
        self._temperature = usual if asked.temperature is None else asked.temperature
        self._top_p = defaults.top_p if asked.top_p is None else asked.top_p
        self._top_k = defaults.top_k if asked.top_k is None else asked.top_k
        self._frequency = asked.frequency_penalty
        self._presence = asked.presence_penalty
        self._counts: dict[int, int] = {}
        self._dice = np.random.default_rng(asked.seed)

    def choose(self, logits: NDArray[np.float32]) -> int:
        """The next token.

        Args:
            logits: ``(vocabulary,)``; -inf for what must not come. May be changed.
        """
        if self._counts and (self._frequency or self._presence):
            used = np.fromiter(self._counts, np.int64)
            often = np.fromiter(self._counts.values(), np.float32)
            logits[used] -= self._frequency * often + self._presence
        token = int(logits.argmax()) if self._temperature == 0 else self._draw(logits)
        self._counts[token] = self._counts.get(token, 0) + 1
        return token

    def _draw(self, logits: NDArray[np.float32]) -> int:
        count = min(self._top_k or logits.size, logits.size)
        likely = _likeliest(logits, count)
        likely = likely[np.argsort(-logits[likely], kind="stable")]
        scaled = logits[likely].astype(np.float64) / self._temperature
        weights = np.exp(scaled - scaled[0])
        weights /= weights.sum()
        # The likeliest tokens until their sum reaches top_p, that which reaches it included (Holtzman et al., 2020).
        kept = int(np.searchsorted(weights.cumsum(), self._top_p - 1e-12)) + 1
        weights = weights[:kept] / weights[:kept].sum()
        drawn = int(np.searchsorted(weights.cumsum(), self._dice.random()))
        return int(likely[min(drawn, kept - 1)])


def _likeliest(logits: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """So many tokens with the largest logits, in any order.

    Of a large vocabulary they are looked for in those columns only whose largest is among the so many largest: where
    one is left out, as many others are no less likely.
    """
    width = logits.size // _ROWS
    if count >= width:
        return np.argpartition(logits, -count)[-count:] if count < logits.size else np.arange(logits.size)
    columns = logits[: _ROWS * width].reshape(_ROWS, width).max(axis=0)
    best = np.argpartition(columns, -count)[-count:]
    found = (best + width * np.arange(_ROWS)[:, None]).ravel()
    found = np.concatenate([found, np.arange(_ROWS * width, logits.size)])
    return found[np.argpartition(logits[found], -count)[-count:]]
