"""Questions in the words that Qwen3-VL was trained on: its forms of answer, places included, come with them.

From the model's cookbooks (2d_grounding, ocr, document_parsing). They are English whatever the language of the
answer: in other words the model answers in other forms.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROMPTS", "Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question to be filled in.

    Args:
        id: Its stable name.
        zh: Title in Chinese.
        en: Title in English.
        text: What to ask; ``{categories}`` stands for what to look for, separated by commas.
    """

    id: str
    zh: str
    en: str
    text: str


PROMPTS = (
    Prompt(
        "locate",
        "框出物体",
        "Box objects",
        "Locate every instance that belongs to the following categories: '{categories}'. "
        "Report bbox coordinates in JSON format.",
    ),
    Prompt(
        "points",
        "点出物体",
        "Point at objects",
        "Locate every instance that belongs to the following categories with points: '{categories}'. "
        'Report their point coordinates in JSON format like this: {"point_2d": [x, y], "label": "category"}',
    ),
    Prompt("read", "读出全部文字", "Read all text", "Read all the text in the image."),
    Prompt(
        "spot_lines",
        "逐行标出文字",
        "Mark lines of text",
        "Spotting all the text in the image with line-level, and output in JSON format.",
    ),
    Prompt("html", "转为 HTML（带位置）", "To HTML with places", "qwenvl html"),
    Prompt("markdown", "转为 Markdown（带位置）", "To Markdown with places", "qwenvl markdown"),
)
