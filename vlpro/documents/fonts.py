"""Letters for PDFs: a font of the system with Chinese, cut down to what a document writes."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont, TTLibError

from vlpro.errors import ConfigError

__all__ = ["Embedded", "Font", "find"]

_REGULAR, _BOLD = 80, 200  # fontconfig's weights
_NOT_THERE = "□?"
_DROPPED = (
    "GSUB",
    "GPOS",
    "GDEF",
    "BASE",
    "VORG",
    "vhea",
    "vmtx",
    "DSIG",
    "name",
    "OS/2",
    "post",
    "STAT",
    "meta",
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A font as a PDF takes it (ISO 32000-1, 9.7 and 9.9).

    Args:
        name: With the tag of a subset.
        program: The font's bytes.
        outlines: ``cff`` or ``glyf``.
        codes: What each letter is written as, 0 to 65,535.
        widths: Of each letter, thousandths of its size.
        ascent: Above the baseline, thousandths of the size.
        descent: Below it, negative.
        box: Of all letters, thousandths.
    """

    name: str
    program: bytes
    outlines: str
    codes: dict[str, int]
    widths: dict[str, int]
    ascent: int
    descent: int
    box: tuple[int, int, int, int]


class Font:
    """One face of a font file.

    Args:
        path: The file.
        index: Of the face, where it holds several.
    """

    def __init__(self, path: str, index: int) -> None:
        self._path, self._index = path, index
        with self._open() as font:
            self._glyphs: dict[int, str] = font.getBestCmap()
            self._metrics: dict[str, tuple[int, int]] = font["hmtx"].metrics
            self._scale: float = 1000 / font["head"].unitsPerEm
            head, hhea = font["head"], font["hhea"]
            left, bottom, right, top = (
                round(x * self._scale) for x in (head.xMin, head.yMin, head.xMax, head.yMax)
            )
            self._box = left, bottom, right, top
            self._ascent, self._descent = round(hhea.ascent * self._scale), round(hhea.descent * self._scale)
            self.name = (font["name"].getDebugName(6) or "Font").replace(" ", "")

    def shown(self, text: str) -> str:
        """The text with a box in place of each letter that this font does not have."""
        missing = next(letter for letter in _NOT_THERE if ord(letter) in self._glyphs)
        return "".join(letter if ord(letter) in self._glyphs else missing for letter in text)

    def width(self, text: str) -> float:
        """Of a shown text, thousandths of its size."""
        return self._scale * float(sum(self._metrics[self._glyphs[ord(letter)]][0] for letter in text))

    def embedded(self, letters: set[str]) -> Embedded:
        """Cut down to these letters; the same letters give the same bytes.

        Args:
            letters: All of which this font has.
        """
        options = subset.Options()
        options.layout_features = []
        options.name_IDs = []
        options.notdef_outline = True
        options.hinting = False
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes={ord(letter) for letter in letters})
        written = io.BytesIO()
        with self._open() as font:
            for table in _DROPPED:  # before they are read
                if table in font:
                    del font[table]
            cutter.subset(font)
            font.save(written, reorderTables=False)
        with TTFont(io.BytesIO(written.getvalue()), lazy=True) as cut:
            names: dict[str, str] = {letter: cut.getBestCmap()[ord(letter)] for letter in letters}
            outlines, program = "glyf", written.getvalue()
            codes = {letter: int(cut.getGlyphID(name)) for letter, name in names.items()}
            if "CFF " in cut:
                outlines, program = "cff", cut.reader["CFF "]
                if hasattr(cut["CFF "].cff.topDictIndex[0], "ROS"):  # its glyphs have numbers of their own
                    codes = {letter: int(name.removeprefix("cid")) for letter, name in names.items()}
        tag = hashlib.sha256("".join(sorted(letters)).encode()).digest()
        return Embedded(
            name="".join(chr(65 + byte % 26) for byte in tag[:6]) + "+" + self.name,
            program=program,
            outlines=outlines,
            codes=codes,
            widths={letter: round(self.width(letter)) for letter in letters},
            ascent=self._ascent,
            descent=self._descent,
            box=self._box,
        )

    def _open(self) -> Any:
        return TTFont(self._path, fontNumber=self._index, lazy=True, recalcTimestamp=False)


@cache
def find(*, bold: bool = False) -> Font:
    """A font with Chinese, as fontconfig knows it.

    Args:
        bold: The heavier face of it, where there is one.

    Raises:
        ConfigError: This machine has none.
    """
    program = shutil.which("fc-match")
    weight = _BOLD if bold else _REGULAR
    asked = f":lang=zh-cn:scalable=true:variable=false:weight={weight}"
    if program is not None:
        command = [program, "-f", "%{file}\n%{index}\n%{lang}", asked]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603
            path, index, languages = told.split("\n")
            if "zh-cn" in languages.split("|"):  # fontconfig always names one, if need be without Chinese
                return Font(path, int(index) & 0xFFFF)
        except (OSError, ValueError, KeyError, TTLibError, subprocess.SubprocessError):
            pass
    raise ConfigError(
        "This machine has no font with Chinese, which a PDF needs. Install one, such as Debian's fonts-noto-cjk, and "
        "fontconfig; or take the Word file.",
        zh="本机没有中文字体，无法生成 PDF。请安装中文字体（如 Debian 的 fonts-noto-cjk）和 fontconfig，"
        "或改用 Word 格式。",
        param="format",
        code="no_chinese_font",
    )
