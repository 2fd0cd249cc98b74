# ruff: noqa: E402
"""History and search of one person with many conversations, and what storing costs a question.

    python bench/conversations.py [--conversations 2000] [--turns 20] [--database postgresql://…]

Conversations have Chinese and English messages of the lengths that receipts and manuals give. "Peer" is what a search
without encryption costs: the same text in clear in the same database, matched by LIKE.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vlpro.chat.answering import Asked
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.history import Rules
from vlpro.chat.pictures import PictureStore
from vlpro.chat.search import Search
from vlpro.chat.service import ChatService, Timing
from vlpro.chat.store import ConversationStore
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Usage
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.imaging.ingest import Limits

LI = Person("li")
WORDS = (
    "发票 合计 金额 日期 商户 单号 税率 仪表 压力 温度 阀门 手册 步骤 型号 设备 检修 读数 正常 异常 表格 照片"
)
WORDS += " total amount date number pressure valve pump manual page table reading normal check label"
EVERY = tuple(WORDS.split())


def sentence(rng: random.Random, words: int) -> str:
    return "".join(rng.choice(EVERY) + rng.choice(("，", "。", " ", "", "")) for _ in range(words))


def fill(store: ConversationStore, conversations: int, turns: int) -> list[str]:
    """Make them; returns all texts."""
    rng, texts = random.Random(7), []  # noqa: S311 - examples
    now = time.time() - conversations * 60
    for number in range(conversations):
        at = now + number * 60
        made = Conversation(f"conv_{number:024x}", LI.id, Level.INTERNAL, "", at, at)
        store.add(made)
        said = []
        for turn in range(turns):
            asked = turn % 2 == 0
            text = sentence(rng, 12 if asked else 60)
            texts.append(text)
            message = StoredMessage(
                "user" if asked else "assistant", text, request_id=f"req_{turn:024x}", created=at
            )
            if not asked:
                message.usage, message.timing = Usage(1200, 90), Timing(1.0, 300.0, 2100.0, 43.0)
                message.finish_reason = "stop"
            said.append(message)
        store.save(made, said, 0, title=said[0].raw[:40], updated=at)
    return texts


def processor(work: Callable[[], object]) -> float:
    """Of this thread: what others do on the machine counts less."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def milliseconds(work: Callable[[], object], repeat: int = 1) -> float:
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def row(name: str, value: float, unit: str = "ms") -> None:
    print(f"  {name:<66} {value:9.1f} {unit}")


def searches(database: Database, sealer: Sealer, conversations: int, turns: int) -> None:
    store = ConversationStore(database, sealer)
    began = time.perf_counter()
    texts = fill(store, conversations, turns)
    row("filling, a conversation", (time.perf_counter() - began) * 1000 / conversations)
    characters = sum(map(len, texts))
    print(f"  {len(texts):,} messages, {characters:,} characters")
    first = []
    for _ in range(3):
        search = Search(store, max_bytes=200_000_000)
        first.append(milliseconds(lambda s=search: s.find(LI, "阀门检修", limit=50)))
    row("first search (median of 3)", statistics.median(first))
    again = Search(store, max_bytes=200_000_000)
    row("  processor time of it", processor(lambda: again.find(LI, "阀门检修", limit=50)))
    row("  memory that stays open until it is forgotten", search.bytes_used / 2**20, "MiB")
    for words in ("压力", "VALVE 检修", "ｐｒｅｓｓｕｒｅ", "此处没有"):
        found = search.find(LI, words, limit=50)
        row(
            f"next search, {found.total} found: {words}",
            milliseconds(lambda w=words: search.find(LI, w, limit=50), 9),
        )
    small = Search(store, max_bytes=1)
    row("a search that may keep nothing open", milliseconds(lambda: small.find(LI, "压力", limit=50)))
    row("first page of the list (30)", milliseconds(lambda: store.page(LI.id, LI.level, limit=30), 9))
    last = (time.time() - conversations * 60 + 1800, "conv_f")
    row(
        "last page of the list (30)",
        milliseconds(lambda: store.page(LI.id, LI.level, before=last, limit=30), 9),
    )
    name = f"conv_{conversations // 2:024x}"
    row(
        f"opening a conversation of {turns} messages",
        milliseconds(lambda: store.load(name, pictures=False), 9),
    )
    table = sa.Table("clear", sa.MetaData(), sa.Column("text", sa.Text))
    with database.write() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), [{"text": text} for text in texts])
    query = sa.select(sa.func.count()).select_from(table).where(table.c.text.like("%此处没有%"))

    def like() -> None:
        with database.read() as connection:
            connection.execute(query).scalar_one()

    row("peer: LIKE over the same text in clear", milliseconds(like, 5))


def service(store: ConversationStore | None, rules: Rules) -> ConversationService:
    chat = ChatService(
        FakeEngine(), limits=Limits(), max_images=16, max_text_chars=400_000, max_choices=1, queue_size=8,
        answer_timeout_s=60,
    )  # fmt: skip
    pictures = PictureStore(max_bytes=10**9, ttl_s=3600)
    return ConversationService(
        chat, pictures, limits=Limits(), max_images=16, max_conversations=100, ttl_s=3600, store=store,
        rules=lambda: rules,
    )  # fmt: skip


async def questions(talk: ConversationService, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds until a question is taken, and until its answer is complete."""
    taken, complete = [], []
    await talk.start()
    for _ in range(count // 10):
        conversation = await talk.new(LI)
        for _ in range(10):
            began = time.perf_counter()
            await talk.ask(LI, conversation.id, Asked("count to 5"))
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.gather(*talk._answers._tasks.values())
            complete.append((time.perf_counter() - began) * 1000)
    await talk.close()
    return taken, complete


def costs(url: Callable[[], str], sealer: Sealer, count: int = 200) -> None:
    for name, stored in (("off", False), ("on", True), ("off", False), ("on", True)):
        database = Database(url())
        database.migrate()
        store = ConversationStore(database, sealer) if stored else None
        taken, complete = asyncio.run(questions(service(store, Rules()), count))
        row(f"store {name}: a question is taken (median)", statistics.median(taken))
        row(f"store {name}: its answer is complete (median; fake engine)", statistics.median(complete))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    sealer = Sealer(bytes(32))
    with tempfile.TemporaryDirectory() as folder:
        database = Database(given.database or sqlite_url(Path(folder)))
        database.migrate()
        searches(database, sealer, given.conversations, given.turns)
        names = (sqlite_url(Path(folder), f"cost{number}") for number in range(9))
        costs(lambda: given.database or next(names), sealer)


if __name__ == "__main__":
    main()
