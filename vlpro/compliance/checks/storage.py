"""What is stored: nobody reads it without the key, and nobody changes it unseen."""

from __future__ import annotations

import secrets
import stat
import time

import sqlalchemy as sa

from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.store import ConversationStore
from vlpro.chat.tables import messages
from vlpro.compliance.selftest import BrokenError, Context, NotHereError, Promise, Sentence
from vlpro.crypto import Sealer
from vlpro.crypto.vectors import self_test
from vlpro.db import Database, sqlite_url
from vlpro.errors import VlproError
from vlpro.identity.labels import Level

__all__ = ["PROMISES"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def _ciphers(_: Context) -> Sentence:
    names = self_test()
    return Sentence(f"Right: {'; '.join(names)}.", f"结果正确：{'；'.join(names)}。")


def _sealed(context: Context) -> Sentence:
    place, secret = "selftest.data:1", secrets.token_bytes(48)
    sealed = context.sealer.seal(secret, place)
    if secret in sealed or context.sealer.open(sealed, place) != secret:
        raise BrokenError("What was sealed can be read, or does not open.", "密封后的内容可读，或无法解开。")
    for at in range(len(sealed)):
        altered = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        if _opens(context.sealer, altered, place):
            raise BrokenError(f"Byte {at} can be changed unseen.", f"第 {at} 字节被改动而未被发现。")
    if _opens(context.sealer, sealed, "selftest.data:2"):
        raise BrokenError("It opens at another place, too.", "复制到别处后仍能解开。")
    return Sentence(
        f"All {len(sealed)} changes of a byte, and a copy in another row, were refused.",
        f"{len(sealed)} 处单字节改动和复制到另一行均被拒绝。",
    )


def _opens(sealer: Sealer, sealed: bytes, place: str) -> bool:
    try:
        sealer.open(sealed, place)
    except VlproError:
        return False
    return True


def _folder_closed(context: Context) -> Sentence:
    folder = context.settings.data_dir
    if not folder.exists():
        raise NotHereError("Nothing is stored yet.", "尚未存储任何内容。")
    if folder.stat().st_mode & _OTHERS:
        raise BrokenError(
            f"{folder} is open to other users. Close it: chmod 700 {folder}",
            f"{folder} 对其他用户开放，请执行 chmod 700 {folder}",
        )
    return Sentence(f"Only its owner may enter {folder}.", f"只有所有者可以进入 {folder}。")


def _conversations(context: Context) -> Sentence:
    canary, clear = f"canary-{secrets.token_hex(16)}", f"canary-{secrets.token_hex(16)}"
    database = Database(sqlite_url(context.folder))
    try:
        database.migrate()
        store, now = ConversationStore(database, context.sealer), time.time()
        name = "cnv_selftest"
        conversation = Conversation(name, clear, Level.INTERNAL, canary, now, now)
        store.add(conversation)
        turns = [StoredMessage("user", canary), StoredMessage("assistant", canary)]
        store.save(conversation, turns, 0, title=canary, updated=now)
        # Before and after the log is written back into the database.
        _search(context, canary, clear)
        database.close()
        _search(context, canary, clear)
        with database.write() as connection:
            data = bytes(connection.execute(sa.select(messages.c.data).limit(1)).scalar_one())
            altered = data[:-1] + bytes([data[-1] ^ 1])
            connection.execute(sa.update(messages).where(messages.c.number == 1).values(data=altered))
        try:
            store.load(name, pictures=False)
        except VlproError as error:
            return Sentence(
                f"Nowhere in the files; then one byte was changed: {error.message}",
                f"所有文件中均未找到；随后改动一个字节：{error.zh}",
            )
        raise BrokenError("A changed byte of a message was not noticed.", "消息被改动一个字节而未被发现。")
    finally:
        database.close()


def _search(context: Context, canary: str, clear: str) -> None:
    """Look for a text in all files; and for one that stands there in clear, to see that looking finds it."""
    files = [path.read_bytes() for path in context.folder.rglob("*") if path.is_file()]
    if not any(clear.encode() in data for data in files):
        raise BrokenError("The search finds not even what is there.", "连确实存在的内容也没有找到。")
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        if any(canary.encode(encoding) in data for data in files):
            raise BrokenError(
                "A text of a conversation stands in a file in clear.", "对话文字以明文出现在文件中。"
            )


PROMISES: tuple[Promise, ...] = (
    Promise(
        "ciphers",
        "8.1.4.8",
        Sentence("The ciphers compute what their standards say.", "密码算法的计算结果符合标准。"),
        Sentence(
            "Published vectors, both ways, and a changed tag.", "用公开的测试向量加密、解密，并改动校验标签。"
        ),
        _ciphers,
    ),
    Promise(
        "sealing",
        "8.1.4.7",
        Sentence(
            "What is stored encrypted cannot be changed or moved unseen.",
            "加密存储的内容被改动或移动会被发现。",
        ),
        Sentence(
            "Each byte of a sealed value is changed, and the value copied.",
            "逐字节改动密文，并复制到另一行。",
        ),
        _sealed,
    ),
    Promise(
        "data_folder",
        "8.1.4.2",
        Sentence("The data belongs to the service alone.", "数据文件夹只属于本服务。"),
        Sentence("The rights of the data folder.", "检查数据文件夹的权限。"),
        _folder_closed,
    ),
    Promise(
        "conversations",
        "8.1.4.8",
        Sentence("Who has the database alone reads no conversation.", "仅有数据库无法读出对话内容。"),
        Sentence(
            "A conversation is stored in a database of its own, all files are searched, and a byte is changed.",
            "在临时数据库中保存一段对话，搜索全部文件，再改动一个字节。",
        ),
        _conversations,
    ),
)
