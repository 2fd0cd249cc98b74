"""Pictures → features, half a layer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vlpro.engines.openvino import graph
from vlpro.engines.openvino.rotary import in_cells, seen
from vlpro.engines.qwen.network import Seen
from vlpro.engines.qwen.pixels import patches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import openvino as ov
    from numpy.typing import NDArray

    from vlpro.engines.openvino.weights import Weights
    from vlpro.imaging.picture import Picture

__all__ = ["Tower"]


class Tower:
    """The vision tower, run half a layer at a time.

    Args:
        weights: The model's.
        config: Its ``vision_config``.
        compiled: Compiles a graph.
    """

    def __init__(
        self, weights: Weights, config: Mapping[str, Any], compiled: Callable[[ov.Model], ov.CompiledModel]
    ) -> None:
        def ready(model: ov.Model) -> ov.InferRequest:
            return compiled(model).create_infer_request()

        def given(prefix: str, parts: tuple[str, ...] = ("",)) -> dict[str, ov.Tensor]:
            names = {
                name: name.removeprefix(prefix + ".") for name in weights if name.startswith(prefix + ".")
            }
            return {short: weights.tensor(name) for name, short in names.items() if short.startswith(parts)}

        blocks = [f"model.visual.blocks.{number}" for number in range(int(config["depth"]))]
        deep = [
            f"model.visual.deepstack_merger_list.{level}"
            for level in range(len(config["deepstack_visual_indexes"]))
        ]
        last = "model.visual.merger"
        self._places = weights.read("model.visual.pos_embed.weight")
        self._head = int(config["hidden_size"]) // int(config["num_heads"])
        self._patches = ready(graph.seeing_patches(weights, config))
        self._attention = ready(graph.seeing_attention(weights, config, blocks[0]))
        self._mlp = ready(graph.seeing_mlp(weights, config, blocks[0]))
        self._deep = ready(graph.seeing_merger(weights, config, deep[0], last=False))
        self._merger = ready(graph.seeing_merger(weights, config, last, last=True))
        self._of_layer = [
            (given(prefix, ("norm1.", "attn.")), given(prefix, ("norm2.", "mlp."))) for prefix in blocks
        ]
        self._of_deep = dict(zip(config["deepstack_visual_indexes"], map(given, deep), strict=True))
        self._of_merger = given(last)

    def see(
        self, picture: Picture, rows: int, columns: int, between: Callable[[], None]
    ) -> Seen[NDArray[np.float32]]:
        """Features of a picture.

        Args:
            picture: The picture.
            rows: Height in cells of 32 pixels.
            columns: Width in cells.
            between: Called before each half of a layer; what it raises ends the work.
        """
        given = {
            "patches": patches(picture.pixels, rows, columns, frames=1),
            "places": self._learnt(rows, columns),
        }
        hidden = _out(self._patches, given)
        cos, sin = seen(rows, columns, self._head)
        deep = []
        for number, (attention, mlp) in enumerate(self._of_layer):
            between()
            hidden = _out(self._attention, {"hidden": hidden, "cos": cos, "sin": sin, **attention})
            between()
            hidden = _out(self._mlp, {"hidden": hidden, **mlp})
            if number in self._of_deep:
                deep.append(_out(self._deep, {"hidden": hidden, **self._of_deep[number]}).copy())
        return Seen(_out(self._merger, {"hidden": hidden, **self._of_merger}).copy(), tuple(deep))

    def _learnt(self, rows: int, columns: int) -> NDArray[np.float32]:
        """Learnt positions ``(patches, hidden)``, read between the points of a square grid (bilinear)."""
        side = int(len(self._places) ** 0.5)
        table = self._places.reshape(side, side, -1)
        y, x = (np.linspace(0, side - 1, 2 * cells, dtype=np.float32) for cells in (rows, columns))
        table = _between(table, y, 0)
        return in_cells(_between(table, x, 1))


def _between(table: NDArray[np.float32], at: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Values between those of a table, along one axis."""
    low = at.astype(np.int64)
    high = np.minimum(low + 1, table.shape[axis] - 1)
    share = (at - low).reshape([-1, *[1] * (table.ndim - 1 - axis)])
    out: NDArray[np.float32] = table.take(low, axis) * (1 - share) + table.take(high, axis) * share
    return out


def _out(request: ov.InferRequest, given: Mapping[str, Any]) -> NDArray[np.float32]:
    """A graph's result, in its own memory: good until it runs again."""
    request.infer(dict(given), share_inputs=True)
    out: NDArray[np.float32] = request.get_output_tensor(0).data
    return out
