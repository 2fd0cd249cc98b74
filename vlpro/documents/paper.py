"""A document as a PDF file (ISO 32000-1), written without any other program.

A4, one column. Fonts of the system are embedded, cut down to the letters that are written, with the table by which
text is copied and searched. No script, no link, no form, nothing that is fetched.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest

from vlpro.documents import fonts
from vlpro.documents.document import Document, Figure, Heading, Paragraph, Table, plain
from vlpro.documents.label import NAME, Label

__all__ = ["to_pdf"]

_WIDTH, _HEIGHT, _MARGIN, _FOOT = 595.28, 841.89, 56.7, 45.0  # points
_TEXT = _WIDTH - 2 * _MARGIN
_BODY, _SMALL, _TITLE = 10.5, 9.0, 20.0
_HEADINGS = (15.0, 13.0, 11.5, 10.5)
_LEADING = 1.5
_PADDING = 4.0
_TALLEST = 600.0  # of a picture, which leaves room for a heading above and a caption below
_MOST_CAPTION = 5  # lines
_INK, _GREY, _LINE, _SHADE = "0.10 0.14 0.19", "0.34 0.38 0.45", "0.80 0.83 0.87", "0.957 0.965 0.973"

# Where a line may end: behind a space, a hyphen or a Chinese letter, but not before closing punctuation.
_WORD = re.compile(r"[^\s\u2e80-\uffff]+-?|[\u2e80-\uffff]|\s")
_NOT_FIRST = frozenset("，。、；：？！）》」』】〉”’％…—,.;:?!)]}%")
_TAB = "    "


@dataclass(slots=True)
class _Face:
    """A font and the letters of it that were written."""

    resource: str
    font: fonts.Font
    used: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Image:
    jpeg: bytes
    width: int
    height: int


@dataclass(slots=True)
class _Written:
    """A piece of text in place; letters become codes once all of them are known."""

    face: _Face
    size: float
    x: float
    y: float
    text: str
    colour: str


@dataclass(slots=True)
class _Page:
    texts: list[_Written] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    images: list[int] = field(default_factory=list)


def to_pdf(document: Document) -> bytes:
    """Write a PDF file; the same document gives the same bytes.

    Args:
        document: With its pictures.

    Returns:
        The file. Where the document has a label, a note stands below the title, at the end, and on the foot of each
        page.

    Raises:
        ConfigError: This machine has no font with Chinese.
    """
    layout = _Layout(_Face("R", fonts.find()), _Face("B", fonts.find(bold=True)))
    notice = document.label.notice(document.language) if document.label is not None else ""
    layout.text(document.title, layout.bold, _TITLE, after=6)
    if notice:
        layout.text(notice, layout.regular, _SMALL, colour=_GREY, after=10)
    for block, following in zip_longest(document.blocks, document.blocks[1:]):
        match block:
            case Heading():
                size = _HEADINGS[min(max(block.level, 1), 4) - 1]
                keep = layout.height(following) if isinstance(following, Figure) else 3 * _BODY * _LEADING
                layout.text(block.text, layout.bold, size, before=size * 0.6, after=4, keep=keep)
            case Paragraph(small=True):
                layout.text(block.text, layout.regular, _SMALL, colour=_GREY, after=5)
            case Paragraph():
                layout.text(block.text, layout.bold if block.bold else layout.regular, _BODY, after=5)
            case Table():
                layout.table(block)
            case Figure():
                layout.figure(block)
    if notice:
        layout.text(notice, layout.regular, _SMALL, colour=_GREY, before=8)
    for number, page in enumerate(layout.pages, start=1):
        foot = f"{notice}   {number} / {len(layout.pages)}".strip()
        width = layout.regular.font.width(layout.regular.font.shown(foot)) * _SMALL / 1000
        layout.put(
            page, foot, layout.regular, size=_SMALL, x=(_WIDTH - width) / 2, y=_FOOT - 15, colour=_GREY
        )
    return _file(document, layout)


class _Layout:
    """Puts blocks on pages, from above."""

    def __init__(self, regular: _Face, bold: _Face) -> None:
        self.regular, self.bold = regular, bold
        self.pages: list[_Page] = []
        self.images: list[_Image] = []
        self._y = 0.0
        self._next()

    def _next(self) -> None:
        self.pages.append(_Page())
        self._y = _HEIGHT - _MARGIN

    def _room(self, height: float) -> None:
        """Begin a new page where the rest of this one is too low."""
        if self._y - height < _FOOT and self._y < _HEIGHT - _MARGIN:
            self._next()

    def put(
        self, page: _Page, text: str, face: _Face, *, size: float, x: float, y: float, colour: str
    ) -> None:
        """Write one line."""
        text = face.font.shown(text)
        face.used |= set(text)
        page.texts.append(_Written(face, size, x, y, text, colour))

    def text(
        self,
        text: str,
        face: _Face,
        size: float,
        *,
        colour: str = _INK,
        before: float = 0,
        after: float = 0,
        keep: float = 0,
    ) -> None:
        """Write a paragraph; ``keep`` is the room that must be left below it on its page."""
        lines = list(_lines(plain(text), face.font, size, _TEXT))
        self._room(before + len(lines[:2]) * size * _LEADING + keep)
        if self._y < _HEIGHT - _MARGIN:
            self._y -= before
        for line in lines:
            self._room(size * _LEADING)
            self._y -= size * _LEADING
            self.put(self.pages[-1], line, face, size=size, x=_MARGIN, y=self._y + size * 0.35, colour=colour)
        self._y -= after

    def table(self, block: Table) -> None:
        """Draw a table; its header stands again on each page."""
        columns = len(block.header) or max((len(row) for row in block.rows), default=0)
        if not columns:
            return
        shares = list(block.widths or [1.0] * columns)
        widths = [_TEXT * share / sum(shares) for share in shares]
        header = self._cells(block.header, widths, self.bold) if block.header else []
        self._room(3 * _SMALL * _LEADING + 4 * _PADDING)
        if header:
            self._row(header, widths, self.bold, shade=True)
        for row in block.rows:
            cells = self._cells(row, widths, self.regular)
            while any(cells):
                most = int((self._y - _FOOT - 2 * _PADDING) // (_SMALL * _LEADING))
                tall = max(len(cell) for cell in cells)
                if tall > most and (most < 3 or tall <= 20):  # not cut where a new page holds all of it
                    self._next()
                    if header:
                        self._row(header, widths, self.bold, shade=True)
                    most = int((self._y - _FOOT - 2 * _PADDING) // (_SMALL * _LEADING))
                most = max(1, most)
                self._row([cell[:most] for cell in cells], widths, self.regular)
                cells = [cell[most:] for cell in cells]
        self._y -= 8

    def _cells(self, row: Sequence[str], widths: list[float], face: _Face) -> list[list[str]]:
        return [
            list(_lines(plain(text), face.font, _SMALL, width - 2 * _PADDING))
            for text, width in zip(row, widths, strict=False)
        ]

    def _row(self, cells: list[list[str]], widths: list[float], face: _Face, *, shade: bool = False) -> None:
        height = max(1, *(len(cell) for cell in cells)) * _SMALL * _LEADING + 2 * _PADDING
        page, x, bottom = self.pages[-1], _MARGIN, self._y - height
        if shade:
            page.drawn.append(f"{_SHADE} rg {x:.2f} {bottom:.2f} {_TEXT:.2f} {height:.2f} re f")
        page.drawn.append(f"{_LINE} RG 0.6 w")
        for width in widths:
            page.drawn.append(f"{x:.2f} {bottom:.2f} {width:.2f} {height:.2f} re S")
            x += width
        x = _MARGIN
        for cell, width in zip(cells, widths, strict=False):
            for number, line in enumerate(cell, start=1):
                y = self._y - _PADDING - number * _SMALL * _LEADING + _SMALL * 0.35
                self.put(page, line, face, size=_SMALL, x=x + _PADDING, y=y, colour=_INK)
            x += width
        self._y = bottom

    def figure(self, block: Figure) -> None:
        """Draw a picture with its caption, both on one page."""
        caption = (
            list(_lines(plain(block.caption), self.regular.font, _SMALL, _TEXT)) if block.caption else []
        )
        below = len(caption) * _SMALL * _LEADING + 6
        most = _HEIGHT - _MARGIN - _FOOT - below - 20
        width = min(_TEXT * block.share, most * block.width / block.height)
        height = width * block.height / block.width
        self._room(height + below)
        page = self.pages[-1]
        self._y -= height
        self.images.append(_Image(block.jpeg, block.width, block.height))
        number = len(self.images)
        page.images.append(number)
        page.drawn.append(f"q {width:.2f} 0 0 {height:.2f} {_MARGIN:.2f} {self._y:.2f} cm /I{number} Do Q")
        for line in caption:
            self._y -= _SMALL * _LEADING
            self.put(page, line, self.regular, size=_SMALL, x=_MARGIN, y=self._y + _SMALL * 0.2, colour=_GREY)
        self._y -= 8

    def height(self, block: Figure) -> float:
        """That a picture takes with its caption, points."""
        width = min(_TEXT * block.share, _TALLEST * block.width / block.height)
        return width * block.height / block.width + len(self._caption(block)) * _SMALL * _LEADING + 6

    def _caption(self, block: Figure) -> list[str]:
        lines = list(_lines(plain(block.caption), self.regular.font, _SMALL, _TEXT)) if block.caption else []
        return lines[:_MOST_CAPTION]


def _lines(text: str, font: fonts.Font, size: float, width: float) -> Iterator[str]:
    """Break a text into lines; a word that is longer than a line is cut."""
    most = width * 1000 / size
    for paragraph in text.replace("\t", _TAB).split("\n"):
        line, long = "", 0.0
        for word in _WORD.findall(font.shown(paragraph)):
            wide = font.width(word)
            if long + wide > most and line and not (word in _NOT_FIRST and long + wide < most + 1000):
                yield line.rstrip()
                line, long = "", 0.0
                if word.isspace():
                    continue
            while wide > most:
                cut = _fitting(word, font, most - long)
                yield line + word[:cut]
                line, long, word = "", 0.0, word[cut:]  # noqa: PLW2901 - the rest of it
                wide = font.width(word)
            line, long = line + word, long + wide
        yield line.rstrip()


def _fitting(word: str, font: fonts.Font, most: float) -> int:
    """How many letters fit, at least one."""
    long = 0.0
    for number, letter in enumerate(word):
        long += font.width(letter)
        if long > most:
            return max(1, number)
    return len(word)


def _file(document: Document, layout: _Layout) -> bytes:
    objects: list[bytes] = [b"", b""]  # the catalogue and the tree of pages come last

    def add(content: bytes) -> int:
        objects.append(content)
        return len(objects)

    resources = []
    codes: dict[str, dict[str, str]] = {}
    for face in (layout.regular, layout.bold):
        if not face.used:
            continue
        embedded = face.font.embedded(face.used)
        codes[face.resource] = {letter: f"{code:04X}" for letter, code in embedded.codes.items()}
        resources.append(b"/%s %d 0 R" % (face.resource.encode(), _font(embedded, add)))
    images = [
        add(
            _stream(
                image.jpeg,
                b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8"
                b"/Filter/DCTDecode" % (image.width, image.height),
            )
        )
        for image in layout.images
    ]
    pages = []
    for page in layout.pages:
        written = [*page.drawn, "BT"]
        for text in page.texts:
            shown = "".join(codes[text.face.resource][letter] for letter in text.text)
            written.append(
                f"/{text.face.resource} {text.size:g} Tf {text.colour} rg 1 0 0 1 {text.x:.2f} {text.y:.2f} Tm "
                f"<{shown}> Tj"
            )
        written.append("ET")
        content = add(_stream(zlib.compress("\n".join(written).encode(), 9), b"/Filter/FlateDecode"))
        own = b"".join(b"/I%d %d 0 R" % (number, images[number - 1]) for number in page.images)
        pages.append(
            add(
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.2f %.2f]/Contents %d 0 R"
                b"/Resources<</Font<<%s>>/XObject<<%s>>>>>>"
                % (_WIDTH, _HEIGHT, content, b"".join(resources), own)
            )
        )
    language = {"zh": b"zh-CN", "en": b"en-US"}[document.language]
    objects[0] = (
        b"<</Type/Catalog/Pages 2 0 R/Lang(%s)/ViewerPreferences<</DisplayDocTitle true>>>>" % language
    )
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids)
    info = add(_info(document.title, document.created, document.label))
    return _assembled(objects, info)


def _font(font: fonts.Embedded, add: Callable[[bytes], int]) -> int:
    name = b"/" + font.name.encode("ascii", "replace")
    cff = font.outlines == "cff"
    kind = b"/Subtype/CIDFontType0C" if cff else b"/Length1 %d" % len(font.program)
    program = add(_stream(zlib.compress(font.program, 9), kind + b"/Filter/FlateDecode"))
    box = b" ".join(b"%d" % side for side in font.box)
    descriptor = add(
        b"<</Type/FontDescriptor/FontName%s/Flags 4/FontBBox[%s]/ItalicAngle 0/Ascent %d/Descent %d"
        b"/CapHeight 700/StemV 80/%s %d 0 R>>"
        % (name, box, font.ascent, font.descent, b"FontFile3" if cff else b"FontFile2", program)
    )
    by_code = sorted((code, letter) for letter, code in font.codes.items())
    widths = b"".join(b"%d[%d]" % (code, font.widths[letter]) for code, letter in by_code)
    inside = add(
        b"<</Type/Font/Subtype/%s/BaseFont%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        b"/FontDescriptor %d 0 R/DW 1000/W[%s]%s>>"
        % (
            b"CIDFontType0" if cff else b"CIDFontType2",
            name,
            descriptor,
            widths,
            b"" if cff else b"/CIDToGIDMap/Identity",
        )
    )
    unicode = add(_stream(zlib.compress(_to_unicode(by_code), 9), b"/Filter/FlateDecode"))
    return add(
        b"<</Type/Font/Subtype/Type0/BaseFont%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>"
        % (name, inside, unicode)
    )


def _to_unicode(by_code: list[tuple[int, str]]) -> bytes:
    """Which letter a code stands for (Adobe Technical Note 5411), at most a hundred a block."""
    parts = [
        b"/CIDInit/ProcSet findresource begin 12 dict begin begincmap",
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def",
        b"/CMapName/Adobe-Identity-UCS def/CMapType 2 def",
        b"1 begincodespacerange<0000><FFFF>endcodespacerange",
    ]
    for start in range(0, len(by_code), 100):
        block = by_code[start : start + 100]
        parts.append(b"%d beginbfchar" % len(block))
        parts += [
            f"<{code:04X}><{letter.encode('utf-16-be').hex().upper()}>".encode() for code, letter in block
        ]
        parts.append(b"endbfchar")
    parts.append(b"endcmap CMapName currentdict/CMap defineresource pop end end")
    return b"\n".join(parts)


def _info(title: str, created: datetime, label: Label | None) -> bytes:
    date = f"D:{created.astimezone(UTC):%Y%m%d%H%M%S}Z".encode()
    entries = [b"/Title<%s>" % _utf16(plain(title)), b"/Producer(vlpro)", b"/CreationDate(%s)" % date]
    if label is not None:
        text = label.text().replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        entries.append(b"/%s(%s)" % (NAME.encode(), text.encode("ascii")))
    return b"<<%s>>" % b"".join(entries)


def _utf16(text: str) -> bytes:
    return ("\ufeff" + text).encode("utf-16-be").hex().upper().encode()


def _stream(data: bytes, entries: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def _assembled(objects: list[bytes], info: int) -> bytes:
    written = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(written)
    digest = hashlib.sha256(written).hexdigest()[:32].upper().encode()
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    written += b"".join(b"%010d 00000 n \n" % place for place in places)
    written += b"trailer<</Size %d/Root 1 0 R/Info %d 0 R/ID[<%s><%s>]>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        info,
        digest,
        digest,
        start,
    )
    return bytes(written)
