"""Reads the places that an answer names, in the forms of Qwen3-VL, and gives them in pixels of the original.

All forms count 0 to 1000 of the picture's width or height (Qwen3-VL cookbook: 2d_grounding, ocr,
document_parsing): JSON with ``bbox_2d: [x1, y1, x2, y2]`` or ``point_2d: [x, y]`` (:mod:`.json_places`), HTML with
``data-bbox``, and Markdown with comments (:mod:`.markup`).
"""

from vlpro.chat.grounding.answer import MAX_PLACES, places, without_places
from vlpro.chat.grounding.place import Place

__all__ = ["MAX_PLACES", "Place", "places", "without_places"]
