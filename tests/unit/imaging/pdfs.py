"""PDFs written by hand: good ones, and those that a service must be careful with."""

from __future__ import annotations

import zlib

__all__ = ["ENCRYPTED", "invoice", "pdf", "picture"]


def pdf(
    pages: int = 1,
    *,
    size: tuple[float, float] = (595, 842),
    content: bytes = b"",
    objects: tuple[bytes, ...] = (),
    resources: bytes = b"",
    trailer: bytes = b"",
    catalog: bytes = b"",
) -> bytes:
    """A PDF of equal pages.

    Args:
        pages: How many.
        size: Of each, points.
        content: Drawn on each; fonts /A (Helvetica) and /B (SimSun, not embedded) are there.
        objects: More of them, from number 10.
        resources: More of the page's resources.
        trailer: More of the trailer.
        catalog: More of the catalogue.
    """
    parts = {
        1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        3: b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        4: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        5: b"<</Type/Font/Subtype/Type0/BaseFont/SimSun/Encoding/UniGB-UCS2-H/DescendantFonts[6 0 R]>>",
        6: b"<</Type/Font/Subtype/CIDFontType0/BaseFont/SimSun/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)"
        b"/Supplement 4>>/FontDescriptor 7 0 R>>",
        7: b"<</Type/FontDescriptor/FontName/SimSun/Flags 4/ItalicAngle 0/Ascent 859/Descent -141/CapHeight 683"
        b"/StemV 80/FontBBox[-8 -145 1000 859]>>",
    }
    parts |= {10 + index: part for index, part in enumerate(objects)}
    first = 10 + len(objects)
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.0f %.0f]/Contents 3 0 R"
        b"/Resources<</Font<</A 4 0 R/B 5 0 R>>%s>>>>"
    )
    for index in range(pages):
        parts[first + index] = page % (*size, resources)
    kids = b" ".join(b"%d 0 R" % (first + index) for index in range(pages))
    parts[2] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages)
    written = bytearray(b"%PDF-1.7\n")
    places = {}
    for number in sorted(parts):
        places[number] = len(written)
        written += b"%d 0 obj\n%s\nendobj\n" % (number, parts[number])
    start, last = len(written), max(parts)
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (last + 1)
    for number in range(1, last + 1):
        written += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 00000 f \n"
    written += b"trailer<</Root 1 0 R/Size %d%s>>\nstartxref\n%d\n%%%%EOF\n" % (last + 1, trailer, start)
    return bytes(written)


def invoice(pages: int = 1) -> bytes:
    """Text in two alphabets, the Chinese in a font that does not come with the file, as in many invoices."""
    code = "发票号码".encode("utf-16-be").hex().encode()
    return pdf(pages, content=b"BT/A 24 Tf 72 700 Td(No. 12345678) Tj/B 24 Tf 0 -100 Td<%s> Tj ET" % code)


def picture(width: int, height: int) -> bytes:
    """One black picture over the page; compressed twice, a gigapixel takes no kilobyte."""
    packed = zlib.compress(zlib.compress(bytes((width + 7) // 8 * height), 9), 9)
    image = (
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1/ColorSpace/DeviceGray"
        b"/Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream"
    ) % (width, height, len(packed), packed)
    form = b"q 595 0 0 842 0 0 cm/P Do Q"
    inside = (
        b"<</Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</P 10 0 R>>>>/Length %d>>stream\n"
        b"%s\nendstream"
    )
    return pdf(
        content=b"/F Do", objects=(image, inside % (len(form), form)), resources=b"/XObject<</F 11 0 R>>"
    )


ENCRYPTED = pdf(
    content=b"x",
    trailer=b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -1/O<%s>/U<%s>>>" % (b"41" * 32, b"42" * 32),
)
"""Opens with a password only."""
