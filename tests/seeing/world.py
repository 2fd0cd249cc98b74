"""The world of the seeing test model: drawn pictures, and conversations about them whose answers are known.

Everything comes from one seeded generator: training takes one range of seeds, the held-out score another.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "COLOURS",
    "KINDS",
    "TASKS",
    "Conversation",
    "Scene",
    "Turn",
    "conversation",
    "draw_digits",
    "draw_shapes",
    "relative",
    "right",
]

COLOURS: dict[str, tuple[str, tuple[int, int, int]]] = {
    "red": ("红色", (215, 38, 38)),
    "green": ("绿色", (30, 150, 60)),
    "blue": ("蓝色", (35, 75, 215)),
    "yellow": ("黄色", (240, 200, 20)),
    "purple": ("紫色", (140, 45, 165)),
    "black": ("黑色", (20, 20, 20)),
}
"""Name in English, name in Chinese, RGB."""
KINDS: dict[str, str] = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "五角星"}
_GROUNDS = ((255, 255, 255), (236, 238, 240), (226, 214, 196), (205, 222, 238))
PREFIX = "请用中文回答："
"""Before an English question, it asks for a Chinese answer."""
SYSTEMS = ("You are a helpful assistant.", "你是一个有用的助手。", "回答要简短。", "Answer in one line.")
_NONE = ("none", "没有")
_SIDES = (("left", "左边"), ("right", "右边"))

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One drawn thing; ``box`` is x1, y1, x2, y2 in pixels."""

    colour: str
    kind: str
    box: Box

    def name(self, zh: int) -> str:
        """What it is called; ``zh`` is 1 for Chinese, 0 for English."""
        return f"{COLOURS[self.colour][0]}{KINDS[self.kind]}" if zh else f"{self.colour} {self.kind}"


@dataclass
class Scene:
    """A picture with what is in it; boxes in the picture's own pixels."""

    image: Image.Image
    shapes: list[Shape] = field(default_factory=list)
    digits: str = ""
    digit_boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with the pictures that come with it, and its answer.

    Args:
        task: What it tests, a key of :data:`TASKS`.
        scenes: New pictures of this turn, with what is in them.
        question: The text.
        answer: The one right answer; for ``box`` one with overlap of at least one half is right too.
        about: The shapes that it is about, as they are named; none where it is about the whole picture.
    """

    task: str
    scenes: tuple[Scene, ...]
    question: str
    answer: str
    about: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, oldest first, under a system message that may be empty."""

    turns: tuple[Turn, ...]
    system: str = ""


def _polygon(kind: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    if kind == "square":
        side = radius * 0.86
        return [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
    corners = 3 if kind == "triangle" else 10
    points = []
    for corner in range(corners):
        reach = radius * (0.45 if kind == "star" and corner % 2 else 1.0)
        angle = -math.pi / 2 + 2 * math.pi * corner / corners
        points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return points


def _size(dice: random.Random, most: int) -> tuple[int, int]:
    """Width and height: multiples of 32 or not, up to twice as wide as tall, at most ``most`` pixels in all."""
    while True:
        width, height = (dice.randint(64, 192) for _ in range(2))
        if dice.random() < 0.5:
            width, height = width // 32 * 32, height // 32 * 32
        if width * height <= most and max(width, height) <= 2.2 * min(width, height):
            return width, height


def draw_shapes(
    dice: random.Random,
    count: int,
    *,
    size: tuple[int, int],
    distinct: bool = True,
    scale: int = 1,
    only: tuple[str, str] | None = None,
) -> tuple[Image.Image, list[Shape]]:
    """Draw shapes that do not overlap.

    Args:
        dice: Where chance comes from.
        count: How many; fewer where there is no room.
        size: Width and height, pixels.
        distinct: No two of the same colour and kind.
        only: Colour and kind of each, else drawn by lot.
        scale: The picture is drawn this many times larger: what a model sees after it was shrunk again.

    Returns:
        The picture and its shapes, boxes in the picture's own pixels.
    """
    width, height = size[0] * scale, size[1] * scale
    image = Image.new("RGB", (width, height), dice.choice(_GROUNDS))
    pen = ImageDraw.Draw(image)
    shapes: list[Shape] = []
    least, most = 14 * scale, max(16, min(size) // (3 if count > 2 else 2) - 4) * scale
    for _ in range(count * 12):
        if len(shapes) == count:
            break
        colour, kind = only or (dice.choice(list(COLOURS)), dice.choice(list(KINDS)))
        if distinct and any((colour, kind) == (s.colour, s.kind) for s in shapes):
            continue
        radius = dice.uniform(least, max(least, most * (0.6 if count > 4 else 1)))
        if 2 * radius + 4 > min(width, height):
            radius = min(width, height) / 2 - 3
        x, y = dice.uniform(radius + 1, width - radius - 1), dice.uniform(radius + 1, height - radius - 1)
        reach = radius + 2 * scale
        if any(
            x - reach < s.box[2] and x + reach > s.box[0] and y - reach < s.box[3] and y + reach > s.box[1]
            for s in shapes
        ):
            continue
        rgb = tuple(min(255, max(0, channel + dice.randint(-14, 14))) for channel in COLOURS[colour][1])
        if kind == "circle":
            box = (x - radius, y - radius, x + radius, y + radius)
            pen.ellipse(box, fill=rgb)
        else:
            points = _polygon(kind, x, y, radius)
            pen.polygon(points, fill=rgb)
            box = (
                min(p[0] for p in points),
                min(p[1] for p in points),
                max(p[0] for p in points),
                max(p[1] for p in points),
            )
        shapes.append(Shape(colour, kind, box))
    return image, shapes


def draw_digits(
    dice: random.Random, digits: str, *, size: tuple[int, int], scale: int = 1
) -> tuple[Image.Image, tuple[Box, ...]]:
    """Print a number somewhere in a picture.

    Args:
        dice: Where chance comes from.
        digits: What to print.
        size: Width and height, pixels.
        scale: As for :func:`draw_shapes`.

    Returns:
        The picture, and the box of each digit in its own pixels.
    """
    width, height = size[0] * scale, size[1] * scale
    image = Image.new("RGB", (width, height), dice.choice(_GROUNDS))
    pen = ImageDraw.Draw(image)
    largest = min(size[1] * 0.7, size[0] / (0.62 * len(digits) + 0.2))
    font = ImageFont.load_default(dice.uniform(min(36, largest), min(56, largest)) * scale)
    left, top, right, bottom = pen.textbbox((0, 0), digits, font=font)
    x = dice.uniform(2, max(3, width - (right - left) - 2)) - left
    y = dice.uniform(2, max(3, height - (bottom - top) - 2)) - top
    pen.text((x, y), digits, font=font, fill=dice.choice([(20, 20, 20), (35, 75, 215), (150, 20, 20)]))
    ends = [x + font.getlength(digits[:count]) for count in range(len(digits) + 1)]
    return image, tuple((a, y + top, b, y + bottom) for a, b in pairwise(ends))


def relative(box: Box, image: Image.Image) -> list[int]:
    """Thousandths of the picture's sides, in steps of ten."""
    sides = (*image.size, *image.size)
    return [round(value * 100 / side) * 10 for value, side in zip(box, sides, strict=True)]


# --- questions: (scene, dice, languages) -> question, answer, shapes; None where the scene has none --------

_Asked = tuple[str, str, tuple[Shape, ...]] | None


class Languages(NamedTuple):
    """1 for Chinese, 0 for English."""

    question: int
    answer: int


def _unique(shapes: Sequence[Shape], of: Callable[[Shape], str]) -> list[Shape]:
    return [s for s in shapes if sum(of(s) == of(other) for other in shapes) == 1]


def _colour(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    known = _unique(scene.shapes, lambda s: s.kind)
    if not known:
        return None
    shape = dice.choice(known)
    asked = f"{KINDS[shape.kind]}是什么颜色？" if zh.question else f"What colour is the {shape.kind}?"
    answer = COLOURS[shape.colour][0] if zh.answer else shape.colour
    if dice.random() < 0.15:
        asked += "用 JSON 回答。" if zh.question else " Answer in JSON."
        answer = json.dumps({"颜色" if zh.answer else "colour": answer}, ensure_ascii=False)
    return asked, answer, (shape,)


def _kind(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    known = _unique(scene.shapes, lambda s: s.colour)
    if not known:
        return None
    shape = dice.choice(known)
    asked = f"{COLOURS[shape.colour][0]}的是什么形状？" if zh.question else f"What shape is {shape.colour}?"
    return asked, KINDS[shape.kind] if zh.answer else shape.kind, (shape,)


def _count(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    if not scene.shapes:
        return None
    kind = dice.choice(list(KINDS))
    if dice.random() < 0.5:
        asked = "图中一共有几个图形？" if zh.question else "How many shapes are there?"
        number = len(scene.shapes)
    else:
        asked = f"图中有几个{KINDS[kind]}？" if zh.question else f"How many {kind}s are there?"
        number = sum(s.kind == kind for s in scene.shapes)
    return asked, str(number) if number else _NONE[zh.answer], ()


def _none(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    """Colour of something that is not there."""
    if not scene.shapes:
        return None
    absent = [kind for kind in KINDS if all(s.kind != kind for s in scene.shapes)]
    if not absent:
        return None
    kind = dice.choice(absent)
    asked = f"{KINDS[kind]}是什么颜色？" if zh.question else f"What colour is the {kind}?"
    return asked, _NONE[zh.answer], ()


def _side(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    known = _unique(scene.shapes, lambda s: s.colour + s.kind)
    apart = scene.image.size[0] / 10
    pairs = [
        (a, b) for a in known for b in known if abs(a.box[0] + a.box[2] - b.box[0] - b.box[2]) > 2 * apart
    ]
    if not pairs:
        return None
    one, other = dice.choice(pairs)
    asked = (
        f"{one.name(1)}在{other.name(1)}的左边还是右边？"
        if zh.question
        else f"Is the {one.name(0)} left or right of the {other.name(0)}?"
    )
    return asked, _SIDES[one.box[0] + one.box[2] > other.box[0] + other.box[2]][zh.answer], (one, other)


def _digits(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    if not scene.digits:
        return None
    if dice.random() < 0.3:
        return (
            ("读出图中的全部文字。" if zh.question else "Read all the text in the image."),
            scene.digits,
            (),
        )
    return ("图中印的数字是多少？" if zh.question else "What number is printed?"), scene.digits, ()


def _box(scene: Scene, dice: random.Random, zh: Languages) -> _Asked:
    known = _unique(scene.shapes, lambda s: s.colour + s.kind)
    if not known:
        return None
    shape = dice.choice(known)
    name = shape.name(zh.answer)
    if dice.random() < 0.4:
        asked = (
            f"Locate every instance that belongs to the following categories: '{name}'. "
            "Report bbox coordinates in JSON format."
        )
    elif zh.question:
        asked = f"用 bbox_2d 标出{shape.name(1)}。"
    else:
        asked = f"Locate the {shape.name(0)}, as bbox_2d in JSON."
    found = [{"bbox_2d": relative(shape.box, scene.image), "label": name}]
    return asked, json.dumps(found, ensure_ascii=False), (shape,)


_ABOUT_ONE: dict[str, Callable[[Scene, random.Random, Languages], _Asked]] = {
    "colour": _colour,
    "kind": _kind,
    "count": _count,
    "none": _none,
    "side": _side,
    "digits": _digits,
    "box": _box,
}
TASKS = (*_ABOUT_ONE, "which", "earlier")


def make_scene(dice: random.Random, most: int, *, digits: bool = False) -> Scene:
    """A picture with up to ``most`` shapes, or with a number of one to three digits."""
    size = _size(dice, 16_384)
    scale = 2 if dice.random() < 0.12 else 1
    if digits:
        text = "".join(dice.choice("0123456789") for _ in range(dice.randint(1, min(3, size[0] // 32))))
        image, boxes = draw_digits(dice, text, size=size, scale=scale)
        return Scene(image, digits=text, digit_boxes=boxes)
    distinct = dice.random() < 0.6
    return Scene(*draw_shapes(dice, dice.randint(1, most), size=size, distinct=distinct, scale=scale))


def conversation(seed: int, *, most_shapes: int = 4, most_pictures: int = 16, turns: int = 4) -> Conversation:
    """A conversation about pictures.

    Args:
        seed: The same seed gives the same conversation; those divisible by five are about which of several
            pictures shows a thing.
        most_shapes: In one picture.
        most_pictures: In one question.
        turns: The most questions about one picture.
    """
    dice = random.Random(seed)
    asks = dice.randint(0, 1)
    prefixed = not asks and dice.random() < 0.15
    zh = Languages(asks, 1 if prefixed else asks)
    if seed % 5 == 0:
        made = _which(dice, zh, most_pictures, turns)
    else:
        first = make_scene(dice, most_shapes, digits=dice.random() < 0.28)
        made = _about(first, dice, zh, turns, (first,))
        if dice.random() < 0.3:
            made += _back_to(first, dice, zh, most_shapes, already=bool(made))
    if prefixed:
        made = [replace(turn, question=PREFIX + turn.question) for turn in made]
    return Conversation(tuple(made), dice.choice(SYSTEMS) if dice.random() < 0.2 else "")


def _about(
    scene: Scene, dice: random.Random, zh: Languages, turns: int, new: tuple[Scene, ...]
) -> list[Turn]:
    made: list[Turn] = []
    for _ in range(8 * turns):
        task = dice.choices(list(_ABOUT_ONE), weights=(2, 2, 3, 1, 2, 2, 4))[0]
        if len(made) == turns:
            break
        asked = _ABOUT_ONE[task](scene, dice, zh)
        if asked is None or any(asked[0] == turn.question for turn in made):
            continue
        made.append(Turn(task, () if made else new, *asked))
        if scene.digits:
            break
    return made


def _back_to(first: Scene, dice: random.Random, zh: Languages, most: int, *, already: bool) -> list[Turn]:
    """A second picture, then a question about the first one."""
    second = make_scene(dice, most, digits=dice.random() < 0.2)
    made = _about(second, dice, zh, 1, (second,))
    if not made or not already:
        return []
    ask = dice.choice([_colour, _kind, _digits] if not first.digits else [_digits])
    asked = ask(first, dice, zh)
    if asked is not None:
        question = f"第一张图：{asked[0]}" if zh.question else f"In the first picture: {asked[0]}"
        made.append(Turn("earlier", (), question, *asked[1:]))
    return made


def _which(dice: random.Random, zh: Languages, most: int, turns: int) -> list[Turn]:
    """Which of several pictures shows a thing: each picture shows one."""
    names = [(colour, kind) for colour in COLOURS for kind in KINDS]
    count = dice.randint(2, most)
    scenes = []
    for only in dice.sample(names, count):
        size = (dice.choice((64, 64, 96)), 64) if count > 4 else _size(dice, 16_384)
        scenes.append(Scene(*draw_shapes(dice, 1, size=size, only=only)))
    made: list[Turn] = []
    for number in dice.sample(range(count), min(count, turns)):
        shape = scenes[number].shapes[0]
        asked = f"{shape.name(1)}在第几张图？" if zh.question else f"Which picture shows the {shape.name(0)}?"
        made.append(Turn("which", () if made else tuple(scenes), asked, str(number + 1), (shape,)))
    return made


def right(task: str, wanted: str, got: str) -> bool:
    """Whether an answer is right; a box where it overlaps by at least a half (intersection over union)."""
    if task != "box":
        return wanted == got
    try:
        one, other = (json.loads(text)[0]["bbox_2d"] for text in (wanted, got))
        if json.loads(wanted)[0]["label"] != json.loads(got)[0]["label"]:
            return False
        across = [max(0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1)]
        both = across[0] * across[1]
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
        return bool(both * 2 >= sum(areas) - both)
    except (ValueError, LookupError, TypeError):
        return False
