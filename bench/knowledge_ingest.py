"""Long documents read into a knowledge base: pages a second, and the most memory of the service and of its workers.

    python bench/knowledge_ingest.py [--text 2000] [--lines 14] [--scan 200] [--minutes 30]

Two generated PDFs, one after the other, each into a service of its own (engine ``ocr``, profile ``local``, all
sealed): pages of text (lines of words and numbers, no drawings), and scans (24 lines as a grey JPEG of A4 at 150
dpi, no text layer). While they are read a search is asked every two seconds. A document that is not through after
``--minutes`` counts as far as it is. Memory is PSS, looked at once a second.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.running import Service
from tests.functional.manuals import pdf

WORDS = "pump valve filter motor fuse clamp bearing housing cable terminal sensor relay controller display flow speed"
WORDS += " pressure torque open close tighten replace clean check reset measure before after month hour start safety"


def lines(random_: random.Random, count: int) -> list[str]:
    """Sentences that no other page has."""
    return [
        f"{' '.join(random_.choices(WORDS.split(), k=9)).capitalize()} {random_.randint(100, 9999)}."
        for _ in range(count)
    ]


def scanned(pages: int) -> bytes:
    """A PDF of pictures."""
    random_, font = random.Random(2), ImageFont.load_default(26)  # noqa: S311 - seeded
    made = []
    for _ in range(pages):
        page = Image.new("L", (1240, 1754), 248)
        drawn = ImageDraw.Draw(page)
        for number, line in enumerate(lines(random_, 24)):
            drawn.text((110, 120 + 62 * number), line, 30, font)
        made.append(page)
    out = io.BytesIO()
    made[0].save(out, "PDF", save_all=True, append_images=made[1:], resolution=150.0)
    return out.getvalue()


def measure(name: str, data: bytes, pages: int, minutes: float) -> None:
    """Read one in, and print a line."""
    with tempfile.TemporaryDirectory(prefix="ingest") as folder:
        service = Service(Path(folder), ENGINE="ocr")
        try:
            service.start()
            with httpx.Client(base_url=f"{service.url}/v1", timeout=60, trust_env=False) as http:
                base = http.post("/knowledge-bases", json={"name": "Long"}).json()["id"]
                path = f"/knowledge-bases/{base}"
                rest = service.memory()
                put = http.put(f"{path}/documents/long.pdf", content=data)
                put.raise_for_status()
                began, peak, asked = time.monotonic(), list(rest), []
                while True:
                    told = http.get(f"{path}/documents/long.pdf").json()
                    took = time.monotonic() - began
                    if told["status"] not in ("queued", "reading") or took > minutes * 60:
                        break
                    peak = [max(pair) for pair in zip(peak, service.memory(), strict=True)]
                    if int(took) % 2 == 0:
                        before = time.monotonic()
                        http.post(f"{path}/search", json={"query": "tighten the clamp"}).raise_for_status()
                        asked.append(time.monotonic() - before)
                    time.sleep(1)
                stored = sum(file.stat().st_size for file in service.data.rglob("*") if file.is_file())
        finally:
            service.stop()
    done = told["pages_done"]
    print(
        f"{name}: {told['status']} {done} of {pages} pages, {len(data) / 1e6:.1f} MB, in {took:.0f} s, "
        f"{done / took:.2f} pages/s; service {rest[0]:.0f} MB at rest, {peak[0]:.0f} MB at most; workers "
        f"{rest[1]:.0f}, {peak[1]:.0f} MB; stored {stored / 1e6:.0f} MB; search median "
        f"{statistics.median(asked) * 1000:.0f} ms; load {os.getloadavg()[0]:.1f} {told.get('error') or ''}",
        flush=True,
    )


def main() -> None:
    """Both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=int, default=2000, help="pages of text; 0: none")
    parser.add_argument("--lines", type=int, default=14, help="of a page of text")
    parser.add_argument("--scan", type=int, default=200, help="scanned pages; 0: none")
    parser.add_argument("--minutes", type=float, default=30, help="that each may take")
    options = parser.parse_args()
    random_ = random.Random(1)  # noqa: S311 - seeded
    if options.text:
        text = pdf(*(lines(random_, options.lines) for _ in range(options.text)))
        measure("text", text, options.text, options.minutes)
    if options.scan:
        measure("scans", scanned(options.scan), options.scan, options.minutes)


if __name__ == "__main__":
    main()
