"""What people send and say: taken in, kept secret, cleared (8.1.4.4 d to 8.1.4.11)."""

from __future__ import annotations

import io
import random
import secrets
import struct
import time
import zlib
from typing import Any

from PIL import Image

from vlpro.backup.make import make
from vlpro.backup.restore import check as check_backup
from vlpro.backup.stores import Stores
from vlpro.compliance.checks.recording import ask
from vlpro.compliance.clause import Check, FailedError, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import picture
from vlpro.engines.model_files import make_manifest, verify
from vlpro.errors import ModelFilesError

__all__ = ["BACKUP", "CANARY", "CLEARED", "EICAR", "INPUTS", "MODEL_BYTE", "POSITION"]

_EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_SLOW_S = 30.0


def _inputs(context: Context) -> Finding:
    scratch = context.scratch
    browser, dice = scratch.browser(scratch.person()), random.Random(7)  # noqa: S311 - the same in each run
    bodies: list[dict[str, Any]] = []
    good = picture()
    for _ in range(16):
        data = bytearray(good)
        for _ in range(dice.choice((1, 4, 16))):
            data[dice.randrange(min(len(data), 200))] = dice.randrange(256)
        bodies.append({"path": "/v1/images", "content": bytes(data[: dice.randrange(1, len(data))])})
    odd: list[Any] = [
        None,
        [],
        {},
        "",
        "x" * 500_000,
        -1,
        1e308,
        True,
        "\0",
        {"a": {"b": [1] * 1000}},
        [[[[]]]],
    ]
    for value in odd:
        for name in ("model", "messages", "max_tokens", "temperature", "stream", "n", "response_format"):
            body = {"model": "vlpro", "messages": [{"role": "user", "content": "hi"}], name: value}
            bodies.append({"path": "/v1/chat/completions", "json": body})
    bodies += [{"path": "/v1/chat/completions", "content": text} for text in
               (b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"a":1,"a":2}', b"null", b"NaN")]  # fmt: skip
    statuses: dict[int, int] = {}
    slowest = 0.0
    for body in bodies:
        began = time.monotonic()
        path = str(body.pop("path"))
        status = browser.send("POST", path, **body).status_code
        slowest = max(slowest, time.monotonic() - began)
        statuses[status] = statuses.get(status, 0) + 1
    facts = {"inputs": len(bodies), "statuses": {str(k): v for k, v in sorted(statuses.items())},
             "slowest_s": round(slowest, 2)}  # fmt: skip
    if any(status >= 500 for status in statuses):
        raise FailedError("An input made the service fail.", "有输入使服务出错。", facts)
    if slowest > _SLOW_S:
        raise FailedError("An input made the service hang.", "有输入使服务长时间无响应。", facts)
    return Finding(
        Sentence(
            f"{len(bodies)} malformed pictures and bodies: no answer of 5xx, the slowest in {slowest:.1f} s.",
            f"{len(bodies)} 个畸形图片与请求体：没有 5xx，最慢 {slowest:.1f} 秒。",
        ),
        facts,
    )


def _eicar(context: Context) -> Finding:
    scratch = context.scratch
    person = scratch.person()
    browser, before = scratch.browser(person), scratch.last()
    image = picture()
    carrying = image[:33] + _chunk(_EICAR) + image[33:] + _EICAR
    made = browser.send("POST", "/v1/images", content=carrying)
    back = b""
    if made.status_code == 201:
        back = browser.get(f"/v1/images/{made.json()['id']}/content").content
    asked = ask(browser, "count to 2", carrying).status_code
    recorded = [r["event"] for r in scratch.records(before, login=person.login)]
    there = _EICAR in carrying
    facts = {"in_what_was_sent": there, "upload": made.status_code, "in_what_is_kept": _EICAR in back,
             "question": asked, "records": recorded}  # fmt: skip
    if _EICAR in back or not there:
        raise FailedError("The test file is kept.", "测试文件被保留。", facts)
    if not recorded:
        raise FailedError("What was sent left no record.", "上传没有留下审计记录。", facts)
    return Finding(
        Sentence(
            "A PNG that carried EICAR, in a chunk and behind its end, came back without it; the question "
            "with it is on "
            "the record with the picture's hash.",
            "携带 EICAR 的 PNG（数据块内及文件尾）经重新编码后不再含有它；带该图的提问及图片散列有审计记录。",
        ),
        facts,
    )


def _chunk(data: bytes) -> bytes:
    body = b"teSt" + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _position(context: Context) -> Finding:
    scratch = context.scratch
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x010F] = "comply camera"
    exif.get_ifd(0x8825)[2] = (39.0, 54.0, 15.0)
    Image.new("RGB", (64, 48), "teal").save(out, "JPEG", exif=exif)
    browser = scratch.browser(scratch.person())
    made = browser.send("POST", "/v1/images", content=out.getvalue())
    back = browser.get(f"/v1/images/{made.json().get('id')}/content")
    kept = Image.open(io.BytesIO(back.content)).getexif() if back.status_code == 200 else {}
    facts = {"upload": made.status_code, "tags_sent": 2, "tags_kept": len(kept)}
    if made.status_code != 201 or back.status_code != 200:
        raise FailedError("A good photo is not taken in.", "正常照片无法上传。", facts)
    if len(kept) or b"comply camera" in back.content:
        raise FailedError("A photo keeps what its camera wrote.", "照片保留了拍摄信息。", facts)
    return Finding(Sentence("A photo's position and camera are gone.", "照片的位置与相机信息已去除。"), facts)


def _canary(context: Context) -> Finding:
    scratch = context.scratch
    canary = f"canary{secrets.token_hex(12)}"
    browser = scratch.browser(scratch.person())
    talk = browser.post("/v1/conversations", {}).json()["id"]
    browser.post(f"/v1/conversations/{talk}/messages", {"text": canary})
    scratch.eventually(lambda: not browser.get(f"/v1/conversations/{talk}").json().get("busy"))
    kept = canary in browser.get(f"/v1/conversations/{talk}").text
    files = [path for path in scratch.folder.rglob("*") if path.is_file()]
    found = [
        path.name
        for path in files
        if any(canary.encode(code) in path.read_bytes() for code in ("utf-8", "utf-16-le"))
    ]
    named = sum(talk.encode() in path.read_bytes() for path in files)
    facts = {"files": len(files), "with_canary": found, "with_its_id": named, "readable_by_owner": kept}
    if found:
        raise FailedError(f"In clear in {', '.join(found)}.", f"明文出现在 {'、'.join(found)}。", facts)
    if not kept or not named:
        raise FailedError("The search finds not even what is there.", "未找到确实存在的内容。", facts)
    return Finding(
        Sentence(
            f"A conversation's text is in none of {len(files)} files, databases and their logs among them; its id, "
            f"which is in clear, is in {named}.",
            f"对话文字不在 {len(files)} 个文件（含数据库及其日志）中；以明文保存的编号在 {named} "
            f"个文件中找到，证明搜索有效。",
        ),
        facts,
    )


def _cleared(context: Context) -> Finding:
    scratch = context.scratch
    browser = scratch.browser(scratch.person())
    talk = browser.post("/v1/conversations", {}).json()["id"]
    image = browser.send("POST", "/v1/images", content=picture()).json()["id"]
    browser.post(f"/v1/conversations/{talk}/messages", {"text": "count to 2", "images": [image]})
    scratch.eventually(lambda: not browser.get(f"/v1/conversations/{talk}").json().get("busy"))
    receipt = browser.send("DELETE", f"/v1/conversations/{talk}")
    said = receipt.json()
    after = {
        "conversation": browser.get(f"/v1/conversations/{talk}").status_code,
        "picture": browser.get(f"/v1/images/{image}").status_code,
    }
    facts = {"receipt": {name: said.get(name) for name in ("messages", "images")}, "afterwards": after}
    if set(after.values()) != {404} or facts["receipt"] != {"messages": 2, "images": 1}:
        raise FailedError("Something of a cleared conversation is left.", "清除后仍有残留。", facts)
    return Finding(
        Sentence(
            "A cleared conversation and its picture are gone; the receipt counts 2 messages and 1 picture.",
            "清除后对话和图片均不存在；回执列出 2 条消息、1 张图片。",
        ),
        facts,
    )


def _model_byte(context: Context) -> Finding:
    folder = context.folder / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = folder / "model.safetensors"
    weights.write_bytes(secrets.token_bytes(4096))
    manifest = make_manifest(folder, "comply")
    verify(folder, manifest)
    data = bytearray(weights.read_bytes())
    data[2048] ^= 1
    weights.write_bytes(bytes(data))
    facts = {"bytes": len(data), "flipped": 1}
    try:
        verify(folder, manifest)
    except ModelFilesError as error:
        return Finding(
            Sentence(f"One bit of 4096 bytes was flipped: {error.message}", f"翻转一个比特：{error.zh}"),
            facts | {"refused": error.code},
        )
    raise FailedError("A flipped bit of the weights was not noticed.", "权重被改动一位而未被发现。", facts)


def _backup(context: Context) -> Finding:
    scratch = context.scratch
    folder = context.folder / "backups"
    folder.mkdir(mode=0o700)
    canary = f"canary{secrets.token_hex(12)}"
    scratch.browser(scratch.person()).post("/v1/knowledge-bases", {"name": canary})
    sealer, audit = scratch.identity.sealer, scratch.application.recorder.audit
    made = make(Stores.of(scratch.folder, left_out=(scratch.key_file,)), sealer, audit, folder)
    checked = check_backup(made.path, sealer)
    clear = canary.encode() in made.path.read_bytes()
    root = checked.audit.root.hex() if checked.audit is not None and checked.audit.root is not None else ""
    facts = {"bytes": made.size, "sha256": made.sha256, "records": checked.manifest.audit.sequence,
             "root": root, "canary_in_clear": clear}  # fmt: skip
    if clear or not root:
        raise FailedError(
            "A backup is readable, or its record was not verified.", "备份可读，或其审计未经校验。", facts
        )
    return Finding(
        Sentence(
            f"A backup of the scratch system is sealed; unpacked, its {facts['records']} records verify to one root.",
            f"临时系统的备份已加密；解开后 {facts['records']} 条审计记录通过校验，根散列一致。",
        ),
        facts,
    )


INPUTS = Check(
    "inputs",
    Sentence(
        "On a scratch system: 16 broken pictures and over 80 malformed bodies, the same in each run.",
        "在临时系统上：16 个损坏图片和 80 多个畸形请求体，每次相同。",
    ),
    _inputs,
)
EICAR = Check(
    "eicar",
    Sentence(
        "On a scratch system: a PNG that carries the EICAR test file is sent, and asked about.",
        "在临时系统上：上传携带 EICAR 测试文件的 PNG 并就其提问。",
    ),
    _eicar,
)
POSITION = Check(
    "position",
    Sentence(
        "On a scratch system: a photo with position and camera is sent.",
        "在临时系统上：上传带位置和相机信息的照片。",
    ),
    _position,
)
CANARY = Check(
    "canary",
    Sentence(
        "On a scratch system: a text is said in a conversation, and looked for in all files.",
        "在临时系统上：在对话中写入一段文字，并搜索全部文件。",
    ),
    _canary,
)
CLEARED = Check(
    "cleared",
    Sentence(
        "On a scratch system: a conversation with a picture is cleared, and asked for again.",
        "在临时系统上：清除带图片的对话后再次访问。",
    ),
    _cleared,
)
MODEL_BYTE = Check(
    "model_byte",
    Sentence("A bit of made-up weights is flipped.", "翻转测试权重中的一位。"),
    _model_byte,
)
BACKUP = Check(
    "backup_verified",
    Sentence("A backup of the scratch system is made and verified.", "对临时系统做备份并校验。"),
    _backup,
)
