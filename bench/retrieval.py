# ruff: noqa: E402
"""Retrieval: R@1 and R@3, whether the marked place holds the answer, whether what is not there is refused.

The folder holds two manuals and ``retrieval_zh.json``: 40 chunks of a made-up inverter manual with 40 questions,
each chunk a PDF of its own here. Everything goes the user's way: a service with the embedded engine and the embedded
model, documents by PUT, questions by search. Questions about the manuals are in ``questions.json``: question, page,
and what the marked place must say. Peers over the same chunks: BM25 of pairs of characters, and of
words that jieba cuts where it is installed; the same vectors alone. Ten questions go on from the one before.

    python bench/retrieval.py [FOLDER]
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.running import Service
from vlpro.imaging.pdf import PdfLimits, page_sizes, page_text
from vlpro.knowledge.answer import follows_up
from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.embedding.nano import NanoEmbedder
from vlpro.knowledge.ingest import vectors_of
from vlpro.knowledge.layout import Line
from vlpro.knowledge.passages import page_content
from vlpro.knowledge.search import Ranking, Stored, question, rank

DATA = ROOT.parent / "shared" / "data" / "manuals"
QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))
MANUALS = [name for name in QUESTIONS if name.endswith(".pdf")]
FONTS = "<< /Font << /F 5 0 R >> >>"
SYSTEM = "<< /Registry (Adobe) /Ordering (GB1) /Supplement 4 >>"
MEASURES = (
    "/Flags 4 /ItalicAngle 0 /Ascent 859 /Descent -141 /CapHeight 683 /StemV 80 /FontBBox [-8 -145 1000 859]"
)
SLACK = 4  # characters that a mark may be off
LINE = 30  # characters of a line of a chunk's page


class Base:
    """A knowledge base of the service."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self._http = http
        self._path = (
            f"/v1/knowledge-bases/{http.post('/v1/knowledge-bases', json={'name': name}).json()['id']}"
        )
        self.times: list[float] = []

    def put(self, files: dict[str, bytes]) -> tuple[int, float]:
        """Put files in, and wait until they are read; pages, and the seconds that took."""
        began = time.monotonic()
        for name, data in files.items():
            self._http.put(f"{self._path}/documents/{name}", content=data).raise_for_status()
        while True:
            told = self._http.get(f"{self._path}/documents", params={"limit": 1000}).json()["data"]
            states = Counter(one["status"] for one in told)
            if states["failed"]:
                raise RuntimeError([one["error"] for one in told if one["error"]])
            if states["ready"] == len(files):
                return sum(one["pages"] for one in told), time.monotonic() - began
            time.sleep(0.2)

    def search(self, query: str) -> dict[str, Any]:
        """What is found."""
        began = time.monotonic()
        reply = self._http.post(f"{self._path}/search", json={"query": query, "limit": 3}).raise_for_status()
        self.times.append((time.monotonic() - began) * 1e3)
        found: dict[str, Any] = reply.json()
        return found


def main() -> None:
    """Print the tables."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    told = json.loads((folder / "retrieval_zh.json").read_text(encoding="utf-8"))
    chunks, asked = told["corpus"], [(query, place) for query, place in told["queries"]]
    manuals = {name: (folder / name).read_bytes() for name in MANUALS}
    asyncio.run(parts(chunks, asked, manuals))
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as made:
        service = Service(Path(made), ENGINE="ocr")
        service.start()
        try:
            with httpx.Client(base_url=service.url, timeout=600, trust_env=False) as http:
                own = Base(http, "chunks")
                own.put({f"{number:02}.pdf": page_of(chunk) for number, chunk in enumerate(chunks)})
                both = Base(http, "manuals")
                pages, seconds = both.put(manuals)
                print(f"manuals read in: {pages} pages with drawings, {pages / seconds:.2f} pages/s\n")
                measure(own, both, chunks, asked, manuals)
                refusals(http, own, manuals, asked)
        finally:
            service.stop()


async def parts(chunks: Sequence[str], asked: Sequence[tuple[str, int]], manuals: dict[str, bytes]) -> None:
    """What each part of the ranking gives: R@1 of chunks, and of the manuals' text layers in one base."""
    embedder = NanoEmbedder()
    try:
        own = [
            one
            for number, chunk in enumerate(chunks)
            for one in await stored("", number, [Line(chunk, (0, 0, 1000, 30))], (1000, 1400), embedder)
        ]
        both = []
        for name, data in manuals.items():
            for number, size in enumerate(page_sizes(data, limits=PdfLimits()), 1):
                lines = [Line(one.text, one.box) for one in page_text(data, number, limits=PdfLimits())]
                both += await stored(name, number, lines, size, embedder)
        sets = [
            (own, [("", place, query) for query, place in asked]),
            (both, [(name, page, query) for name in manuals for query, page, _ in QUESTIONS[name]]),
        ]
        vectors = {query: await embedder.query(query) for _, told in sets for *_, query in told}
        await follow_ups(both, embedder)
    finally:
        await embedder.stop()
    print(f"{'R@1 by the parts of the ranking':44} chunks manuals (text layer only)")
    for name, ranking in (
        ("vectors of passages", Ranking(clause=0, words=0, code=0)),
        ("and of clauses", Ranking(words=0, code=0)),
        ("and words", Ranking(code=0)),
        ("and codes: all", Ranking()),
    ):
        shares = []
        for candidates, told in sets:
            found = [rank(question(query, vectors[query]), candidates, 1, ranking) for *_, query in told]
            met = [
                (hits.hits[0].base, hits.hits[0].page) == (base, page)
                for hits, (base, page, _) in zip(found, told, strict=True)
            ]
            shares.append(sum(met) / len(met))
        print(f"{name:44} {shares[0]:6.3f} {shares[1]:7.3f}")
    print()


async def follow_ups(candidates: Sequence[Stored], embedder: NanoEmbedder) -> None:
    """Questions that go on from the one before: alone, by the product's rule, and always with the one before."""
    asked = [((name, page), before, now) for name, before, now, page in QUESTIONS["follow-ups"]]
    singles = [((name, page), query) for name in MANUALS for query, page, _ in QUESTIONS[name]]
    apart = [(place, singles[at - 3][1], query) for at, (place, query) in enumerate(singles)]
    ways: dict[str, Callable[[str, str], str]] = {
        "alone": lambda _, now: now,
        "with the one before, where it goes on": lambda before, now: (
            f"{before}\n{now}" if follows_up(now) else now
        ),
        "always with the one before": lambda before, now: f"{before}\n{now}",
    }
    print(f"{'R@1, R@3; text layers only':44} 10 follow-ups, 40 questions after another one")
    for way, query_of in ways.items():
        row = []
        for told in (asked, apart):
            found = []
            for _, before, now in told:
                query = query_of(before, now)
                hits = rank(question(query, await embedder.query(query)), candidates, 3).hits
                found.append([(hit.base, hit.page) for hit in hits])
            first = sum(places[0] == place for places, (place, _, _) in zip(found, told, strict=True))
            third = sum(place in places for places, (place, _, _) in zip(found, told, strict=True))
            row.append(f"{first / len(told):.3f} {third / len(told):.3f}")
        print(f"{way:44} {row[0]}   {row[1]}")
    print()


async def stored(
    base: str, number: int, lines: Sequence[Line], size: tuple[int, int], embedder: NanoEmbedder
) -> list[Stored]:
    """A page's passages as the store gives them."""
    content = page_content(lines, *size)
    made = await vectors_of(content, embedder, None)
    return [
        Stored(
            base, base, base, number, at, one, size, made.passages[at], made.clauses[at], codes_in(one.text)
        )
        for at, one in enumerate(content.passages)
    ]


def measure(
    own: Base, both: Base, chunks: Sequence[str], asked: Sequence[tuple[str, int]], manuals: dict[str, bytes]
) -> None:
    """Who finds what."""
    print(f"{'40 chunks, 40 questions':44} {'R@1':>5} {'R@3':>5}")
    wanted = [place for _, place in asked]
    ours = [[int(hit["document"][:2]) for hit in own.search(query)["hits"]] for query, _ in asked]
    rows = {
        "BM25, pairs of characters": bm25(chunks, [query for query, _ in asked], pairs),
        **by_words(chunks, [query for query, _ in asked]),
        "the same vectors, of whole chunks": asyncio.run(by_vectors(chunks, [query for query, _ in asked])),
        "this product": ours,
    }
    for name, found in rows.items():
        first, third = rates(found, wanted)
        print(f"{name:44} {first:5.3f} {third:5.3f}")
    print(f"\n{'two manuals in one base, 20 questions each':44} {'R@1':>5} {'R@3':>5}  marked place has it")
    for manual in MANUALS:
        right = third = holds = 0
        for query, page, says in QUESTIONS[manual]:
            hits = both.search(query)["hits"]
            places = [(hit["document"], hit["page"]) for hit in hits]
            third += (manual, page) in places
            if places[0] != (manual, page):
                print(f"    not first: {query}")
                continue
            right += 1
            holds += flat(says) in flat(marked(manuals[manual], hits[0]))
        count = len(QUESTIONS[manual])
        print(f"{manual:44} {right / count:5.3f} {third / count:5.3f}  {holds} of {right}")
    times = sorted(own.times + both.times)
    print(
        f"\na search: median {median(times):.0f} ms, 95th percentile {times[int(len(times) * 0.95)]:.0f} ms"
    )


def refusals(
    http: httpx.Client, own: Base, manuals: dict[str, bytes], asked: Sequence[tuple[str, int]]
) -> None:
    """Whether what is there is answered, and what is not is refused: each document alone."""
    alone = {}
    for name, data in manuals.items():
        alone[name] = Base(http, name)
        alone[name].put({name: data})

    def answered(base: Base, queries: Sequence[str]) -> str:
        said = [base.search(query)["answers"] for query in queries]
        return f"{sum(said):3} of {len(said)}"

    print(f"\n{'answered':44} {'should be':>10}")
    print(f"{'chunks, their own questions':44} {'all':>10} {answered(own, [query for query, _ in asked])}")
    for manual in MANUALS:
        mine = [query for query, _, _ in QUESTIONS[manual]]
        print(f"{manual + ', its own questions':44} {'all':>10} {answered(alone[manual], mine)}")
        print(
            f"{manual + ', unanswerable ones':44} {'none':>10} {answered(alone[manual], QUESTIONS['unanswerable'])}"
        )
        strange = [query for query, _ in asked]
        print(f"{manual + ', those of the chunks':44} {'none':>10} {answered(alone[manual], strange)}")
        print(f"{'chunks, questions of ' + manual:44} {'none':>10} {answered(own, mine)}")


def marked(data: bytes, hit: dict[str, Any]) -> str:
    """What a PDF's text layer says in the boxes of a hit."""
    sizes = page_sizes(data, limits=PdfLimits())
    assert list(hit["page_size"]) == list(sizes[hit["page"] - 1])
    said = []
    for line in page_text(data, hit["page"], limits=PdfLimits()):
        x1, y1, x2, y2 = line.box
        for a1, b1, a2, b2 in hit["boxes"]:
            across = min(x2, a2) - max(x1, a1)
            if across > 0 and min(y2, b2) - max(y1, b1) > 0.5 * (y2 - y1):
                # Letters differ in width, and a clause's share of its line is reckoned by their number.
                start, end = (max(x1, a1) - x1) / (x2 - x1), (min(x2, a2) - x1) / (x2 - x1)
                first, last = (
                    math.floor(start * len(line.text)) - SLACK,
                    math.ceil(end * len(line.text)) + SLACK,
                )
                said.append(line.text[max(0, first) : last])
    return "".join(said) if said else str(hit["text"])  # read in a drawing: the passage is what is marked


def flat(text: str) -> str:
    """Without spaces and case."""
    return "".join(text.split()).lower()


def rates(found: Sequence[Sequence[int]], wanted: Sequence[int]) -> tuple[float, float]:
    """R@1 and R@3."""
    pairs = list(zip(found, wanted, strict=True))
    return (
        sum(places[:1] == [place] for places, place in pairs) / len(pairs),
        sum(place in places[:3] for places, place in pairs) / len(pairs),
    )


async def by_vectors(chunks: Sequence[str], queries: Sequence[str]) -> list[list[int]]:
    """The nearest chunks by their vectors."""
    embedder = NanoEmbedder()
    try:
        made = await embedder.passages(chunks)
        return [[int(n) for n in np.argsort(-(made @ await embedder.query(query)))[:3]] for query in queries]
    finally:
        await embedder.stop()


def pairs(text: str) -> list[str]:
    """Of characters."""
    plain = flat(text)
    return [plain[at : at + 2] for at in range(len(plain) - 1)]


def by_words(chunks: Sequence[str], queries: Sequence[str]) -> dict[str, list[list[int]]]:
    """BM25 of words as jieba cuts them, where it is installed; it is not among the requirements."""
    try:
        import jieba  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        print("(no peer of BM25 with words by jieba, which is not installed: pip install jieba)")
        return {}
    jieba.setLogLevel("ERROR")
    found = bm25(chunks, queries, lambda text: [w for w in jieba.lcut_for_search(text.lower()) if w.strip()])
    return {"BM25, words by jieba": found}


def bm25(
    chunks: Sequence[str],
    queries: Sequence[str],
    terms: Callable[[str], list[str]],
    k: float = 1.2,
    b: float = 0.75,
) -> list[list[int]]:
    """Robertson & Zaragoza (2009).

    Args:
        chunks: To be found.
        queries: What for.
        terms: Of a text.
        k: How soon a term that comes again counts no more.
        b: How much length counts.
    """
    counts = [Counter(terms(chunk)) for chunk in chunks]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths)
    held = Counter(pair for count in counts for pair in count)
    found = []
    for query in queries:
        scores = []
        for count, length in zip(counts, lengths, strict=True):
            score = 0.0
            for pair in terms(query):
                weight = math.log(1 + (len(chunks) - held[pair] + 0.5) / (held[pair] + 0.5))
                score += weight * count[pair] * (k + 1) / (count[pair] + k * (1 - b + b * length / mean))
            scores.append(score)
        found.append([int(n) for n in np.argsort(-np.array(scores))[:3]])
    return found


def page_of(text: str) -> bytes:
    """A PDF of one page with this text, in a font that no file brings (ISO 32000-1, 9.7.5.2)."""
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    shown = " ".join(f"<{line.encode('utf-16-be').hex()}> Tj T*" for line in lines)
    content = f"BT /F 14 Tf 22 TL 60 760 Td {shown} ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {FONTS} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type0 /BaseFont /SimSun /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>",
        f"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /SimSun /CIDSystemInfo {SYSTEM} /FontDescriptor 7 0 R >>",
        f"<< /Type /FontDescriptor /FontName /SimSun {MEASURES} >>",
    ]
    body = "".join(f"{number} 0 obj\n{one}\nendobj\n" for number, one in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer\n<< /Root 1 0 R >>\n%%EOF\n".encode("ascii")


if __name__ == "__main__":
    main()
