from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest

from vlpro.audit.events import Event, Outcome
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.schema.audit import AuditRecord
from vlpro.ui import records
from vlpro.ui.records import Link, Teller, links
from vlpro.ui.strings import Language

CHINA = timezone(timedelta(hours=8))
PERSON = Actor("usr_1", "li", "user", "ses_1", "", "req_1", "10.1.2.3")
IMAGE = {"sha256": "ab" * 32, "bytes": 5_000, "format": "png", "width": 400, "height": 560}
QUESTION = {"chars": 12, "commitment": "cd" * 32}


def written(*entries: Entry, now: float = 0.0) -> list[AuditRecord]:
    """Records as the API tells them, the newest first."""
    made: list[AuditRecord] = []
    prev = FIRST
    for seq, entry in enumerate(entries, 1):
        record = make(entry, seq=seq, prev=prev, now=now + seq)
        prev = record.hash
        made.append(AuditRecord(seq=seq, hash=record.hash.hex(), said=json.loads(record.data)))
    return made[::-1]


def one(kind: Event, /, *, actor: Actor = PERSON, thing: str = "", **detail: Any) -> AuditRecord:
    return written(Entry(kind, actor, object=thing, detail=detail))[0]


def row(record: AuditRecord, language: Language = "zh") -> dict[str, Any]:
    return Teller(language, CHINA).row(record, Link("linked"))


def field(record: AuditRecord, name: str, language: Language = "zh") -> list[dict[str, Any]]:
    """The lines of a field."""
    found = [one["lines"] for one in row(record, language)["fields"] if one["name"] == name]
    assert len(found) == 1, [one["name"] for one in row(record, language)["fields"]]
    lines: list[dict[str, Any]] = found[0]
    return lines


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_event_has_words_and_a_group(event: Event, language: Language) -> None:
    told = row(one(event), language)
    assert told["action"] != str(event)
    assert str(event) in records.kinds(language)
    assert told["outcome"]["text"] == {"zh": "成功", "en": "OK"}[language]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words_and_a_tone(outcome: Outcome) -> None:
    told = row(written(Entry(Event.SIGN_IN, PERSON, outcome))[0], "en")["outcome"]
    assert (
        told
        == {
            "ok": {"tone": "ok", "text": "OK"},
            "refused": {"tone": "warn", "text": "Refused"},
            "failed": {"tone": "bad", "text": "Failed"},
        }[str(outcome)]
    )


def test_groups_hold_their_events_once() -> None:
    names = list(records.kinds("en"))
    assert len(names) == len(set(names))
    assert names.index("identity:session:") < names.index("identity:session:begun")
    assert names.index("identity:") < names.index("identity:key:created")
    assert records.kinds("en")["gateway:request:refused"].startswith("Refused requests")
    assert "gateway:" not in names  # a group of one is that one


def test_a_picture_is_told_with_its_sm3_where_it_has_one() -> None:
    asked = one(Event.ASKED, thing="conv_1", question=QUESTION, images=[IMAGE | {"sm3": "ef" * 32}, IMAGE])
    assert [line["text"] for line in field(asked, "图片")] == ["ab" * 32, "SM3 " + "ef" * 32, "ab" * 32]


def test_a_question_is_told_with_its_pictures() -> None:
    asked = one(
        Event.ASKED,
        thing="conv_1",
        question=QUESTION | {"content": "cnt_1"},
        images=[IMAGE],
        model="m",
        parameters={"temperature": 0.2, "max_tokens": 512},
    )
    told = row(asked)
    assert (told["who"], told["action"], told["time"]) == ("li", "提问", "08:00:01")
    assert told["object"] == "1 张图片 · 12 个字符 · m"
    assert told["content"]
    assert field(asked, "图片") == [
        {"text": "ab" * 32, "mono": True, "sub": "PNG · 400 × 560 · 4.9 KiB", "pick": ["text", "ab" * 32]}
    ]
    assert [line["text"] for line in field(asked, "提问")] == ["12 个字符 · 原文已加密保存", "cd" * 32]
    assert field(asked, "会话")[0]["pick"] == ["session", "ses_1"]
    assert field(asked, "参数")[0]["text"] == "max_tokens 512 · temperature 0.2"
    assert field(asked, "时间")[0]["text"] == "1970-01-01 08:00:01.000 UTC+08:00"
    assert field(asked, "本条哈希")[0]["text"] == asked.hash


def test_where_only_hashes_are_kept_it_says_so() -> None:
    asked = one(Event.ASKED, question=QUESTION)
    assert not row(asked)["content"]
    assert field(asked, "Question", "en")[0]["text"].endswith("only the hash is kept, not the text")


def test_an_answer_is_told_with_its_tokens_and_times() -> None:
    answered = one(
        Event.ANSWERED,
        answers=[QUESTION],
        tokens={"read": 1200, "written": 186},
        timing={"first_token_ms": 310.0, "total_ms": 4900.0, "queued_ms": 1, "tokens_per_s": 40.11},
    )
    assert row(answered, "en")["object"] == "1200 in · 186 out tokens · 4.9 s"
    assert field(answered, "Timing", "en")[0]["text"] == "First token 0.31 s · 4.90 s in all · 40.1 tokens/s"


def test_changes_are_told_as_old_and_new() -> None:
    policy = one(
        Event.POLICY_DECIDED,
        thing="policy_3",
        changes={
            "lock_minutes": {"old": 30, "new": 45},
            "user_addresses": {"old": ["10.0.0.0/8"], "new": ["10.0.0.0/8", "10.9.0.0/16"]},
        },
        note="why",
    )
    assert row(policy)["object"] == "锁定时间（分钟）: 30 → 45 · 等 2 项"
    assert [line["text"] for line in field(policy, "更改")] == [
        "锁定时间（分钟）: 30 → 45",
        "普通用户的访问地址: + 10.9.0.0/16",
    ]
    role = one(Event.ROLE_GRANTED, login="wang", old=None, new="user")
    assert row(role, "en")["object"] == "wang · No role → User"
    assert field(role, "Changes", "en")[0]["text"] == "No role → User"
    person = one(
        Event.ACCOUNT_CHANGED,
        login="wang",
        what="altered",
        changes={"name": {"old": "王", "new": "王磊"}, "expires_at": {"old": None, "new": 0.0}},
    )
    assert [line["text"] for line in field(person, "更改")] == [
        "有效期至: – → 1970-01-01 08:00:00",
        "名称: 王 → 王磊",
    ]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("wrong login or password", "用户名或密码错误"),
        ("it was not used for 30 days", "账号久未使用"),
        ("the policy does not list the address 10.1.1.1", "策略不允许这个地址"),
        ("something new", "something new"),
    ],
)
def test_why_is_told_in_words_where_they_are_known(why: str, told: str) -> None:
    refused = one(Event.SIGN_IN, actor=Actor(address="10.1.2.3"), why=why, typed="ab12")
    assert row(refused)["object"] == told
    assert row(refused)["who"] == "未知用户名"
    line = field(refused, "原因")[0]
    assert line["text"] == told
    assert line.get("sub", why) == why


def test_who_did_it_is_told_where_nobody_signed_in() -> None:
    assert row(one(Event.SERVICE_STARTED, actor=Actor()), "en")["who"] == "System"
    assert row(one(Event.REQUEST_REFUSED, actor=Actor(address="10.1.2.3")), "en")["who"] == "Nobody"
    machine = one(Event.ACCOUNT_CHANGED, actor=Actor(login="root", role="machine"))
    assert field(machine, "Person", "en")[0]["text"] == "root · at the machine"


def test_what_was_searched_for_is_told() -> None:
    query = one(Event.LOG_QUERIED, text="abc", event="chat:", outcome="failed", since=0.0)
    assert row(query)["object"] == "文字: abc · 类型: 问答 · 结果: 失败 · 从: 1970-01-01 08:00:00"


def _chain() -> list[AuditRecord]:
    return written(*[Entry(Event.SIGN_OUT, PERSON)] * 5)


def test_neighbours_are_linked() -> None:
    assert [link.state for link in links(_chain(), whole=True)] == ["linked"] * 4 + ["first"]


def test_an_altered_record_breaks_the_chain_behind_it() -> None:
    shown = _chain()
    shown[2] = shown[2].model_copy(update={"hash": "00" * 32})
    assert [link.state for link in links(shown, whole=True)] == [
        "linked",
        "broken",
        "linked",
        "linked",
        "first",
    ]
    blocks = Teller("en", CHINA).blocks(shown, whole=True)
    kinds = [block["kind"] for block in blocks]
    assert kinds == ["day", "row", "row", "gap", "row", "row", "row"]
    assert blocks[3]["text"].startswith("Records 3 and 4 do not fit together")


def test_a_removed_record_is_missed_where_all_are_shown() -> None:
    shown = _chain()
    del shown[1:3]
    assert links(shown, whole=True)[0] == Link("broken", (3, 4))
    assert links(shown, whole=False)[0] == Link("unknown")
    gaps = [b["text"] for b in Teller("zh", CHINA).blocks(shown, whole=True) if b["kind"] == "gap"]
    assert gaps[0].startswith("缺少第 3 到 4 条")
    alone = _chain()
    del alone[1]
    gaps = [b["text"] for b in Teller("zh", CHINA).blocks(alone, whole=True) if b["kind"] == "gap"]
    assert gaps[0].startswith("缺少第 4 条")


def test_a_first_record_that_is_none_is_broken() -> None:
    shown = _chain()
    shown[-1] = shown[-1].model_copy(update={"said": shown[-1].said | {"prev": "00" * 32}})
    assert links(shown, whole=True)[-1].state == "broken"


def test_bytes_that_are_no_record_are_shown_as_such() -> None:
    told = row(AuditRecord(seq=7, hash="ab" * 32, said={}))
    assert (told["action"], told["object"], told["outcome"]["tone"]) == (
        "无法读取",
        "记录的内容已损坏",
        "bad",
    )


@pytest.mark.parametrize(
    "said",
    [
        {"event": 3, "detail": [1], "time": 5, "login": ["x"]},
        {"event": "policy:version:decided", "detail": {"changes": {"directory_groups": {"old": [{}], "new": [1]}}}},
        {"event": "policy:version:decided", "detail": {"changes": {"x": 1, "lock_minutes": 2}}},
        {"event": "chat:question:asked", "detail": {"images": [1, {"bytes": "x"}], "question": "q"}},
        {"event": "chat:answer:completed", "detail": {"tokens": 3, "timing": "t", "answers": {"a": 1}}},
        {"event": "audit:log:queried", "detail": {"since": 1e300, "until": "x"}},
        {"event": "identity:role:granted", "detail": {"old": {"a": 1}, "new": [2]}, "outcome": None},
    ],
)  # fmt: skip
def test_whatever_was_written_over_a_record_the_page_stands(said: dict[str, Any]) -> None:
    assert row(AuditRecord(seq=7, hash="ab" * 32, said=said))["fields"]


def test_queries_in_a_row_are_folded() -> None:
    queries = [Entry(Event.LOG_QUERIED, PERSON)] * 3
    shown = written(Entry(Event.SIGN_IN, PERSON), *queries, Entry(Event.SIGN_OUT, PERSON), *queries[:2])
    blocks = Teller("en", CHINA).blocks(shown, whole=True)
    assert [block["kind"] for block in blocks] == ["day", "row", "row", "row", "fold", "row"]
    assert blocks[4]["text"] == "3 queries of the record"
    assert [one["seq"] for one in blocks[4]["rows"]] == [4, 3, 2]
    plain = Teller("en", CHINA).blocks(shown, whole=True, fold=False)
    assert [block["kind"] for block in plain] == ["day"] + ["row"] * 7


def test_days_are_counted() -> None:
    shown = written(*[Entry(Event.SIGN_OUT, PERSON)] * 3, now=16 * 3600 - 2.5)  # midnight in China
    days = [b for b in Teller("zh", CHINA).blocks(shown, whole=True) if b["kind"] == "day"]
    assert days == [
        {"kind": "day", "text": "1970 年 1 月 2 日 周五", "count": "1 条"},
        {"kind": "day", "text": "1970 年 1 月 1 日 周四", "count": "2 条"},
    ]
