"""The audit as it is written: each event once, all fields, no way to delete, nothing without it (8.1.4.3)."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.archive import check_days
from vlpro.audit.events import Event
from vlpro.audit.tables import records
from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import Json, picture
from vlpro.errors import ConfigError
from vlpro.identity.permissions import Role

__all__ = [
    "ALERTS",
    "AUDIT_FULL",
    "EVENTS",
    "FIELDS",
    "LIVE_FIELDS",
    "NO_DELETE",
    "QUERIES",
    "RETENTION",
    "TIMELINE",
]

_FIELDS = (
    "seq", "time", "event", "outcome", "account", "login", "role", "session", "address", "object", "request", "prev",
)  # fmt: skip
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ALERT_S = 30.0
_MOST = 10_000


def ask(browser: Any, text: str, image: bytes | None = None) -> Any:
    """Ask a question by the API; its answer."""
    content: Any = text
    if image is not None:
        url = "data:image/png;base64," + base64.b64encode(image).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return browser.post(
        "/v1/chat/completions", {"model": "vlpro", "messages": [{"role": "user", "content": content}]}
    )


def _events(context: Context) -> Finding:
    scratch = context.scratch
    before, expected = scratch.last(), Counter[str]()
    person = scratch.enrolled()
    expected.update([Event.ACCOUNT_CREATED, Event.ROLE_GRANTED])
    browser = scratch.browser()
    browser.form("/login", login=person.login, password="Never-The-Right-1-One")  # noqa: S106 - of nobody
    scratch.sign_in(person, browser)
    expected.update([Event.SIGN_IN, Event.SIGN_IN])
    ask(browser, "count to 3", picture())
    expected.update([Event.ASKED, Event.ANSWERED])
    talk = browser.post("/v1/conversations", {}).json()["id"]
    browser.post(f"/v1/conversations/{talk}/exports", {"format": "markdown"})
    browser.send("DELETE", f"/v1/conversations/{talk}")
    expected.update([Event.CONVERSATION_EXPORTED, Event.CONVERSATION_CLEARED])
    key = browser.post("/v1/account/keys", {"name": "k", "scopes": ["chat:answer:create"], "days": 1}).json()
    browser.send("DELETE", f"/v1/account/keys/{key['key']['id']}")
    expected.update([Event.KEY_CREATED, Event.KEY_REVOKED])
    browser.get("/v1/policy")
    expected.update([Event.REQUEST_REFUSED])
    path = f"/v1/accounts/{person.id}"
    scratch.security_browser.send("PUT", f"{path}/level", json={"level": "public"})
    scratch.system_browser.post(f"{path}/disable")
    expected.update([Event.LEVEL_SET, Event.ACCOUNT_CHANGED])
    scratch.role_browser(Role.AUDIT).get("/v1/audit/records")
    expected.update([Event.LOG_QUERIED])
    wanted = {str(event): count for event, count in expected.items()}

    def found() -> dict[str, int]:
        seen = Counter(record["event"] for record in scratch.records(before))
        return {event: seen[event] for event in wanted}

    # Of administrators another check may be at it, too; they are made one after the other, so none is.
    scratch.eventually(lambda: found() == wanted, seconds=3)
    seen = found()
    facts = {"events": wanted, "records": seen}
    wrong = [event for event, count in wanted.items() if seen[event] != count]
    if wrong:
        raise FailedError(
            f"Not exactly one record each: {', '.join(wrong)}.",
            f"未恰好留下一条记录：{'、'.join(wrong)}。",
            facts,
        )
    return Finding(
        Sentence(
            f"{sum(wanted.values())} events of {len(wanted)} kinds left exactly one record each.",
            f"{len(wanted)} 类共 {sum(wanted.values())} 个事件，均恰好留下一条审计记录。",
        ),
        facts,
    )


def _fields(context: Context) -> Finding:
    scratch = context.scratch
    person, before = scratch.person(), scratch.last()
    ask(scratch.browser(person), "count to 3", picture())
    mine = scratch.records(before, login=person.login)
    asked = next((record for record in mine if record["event"] == Event.ASKED), None)
    if asked is None:
        raise FailedError("A question left no record.", "提问没有留下审计记录。", {"records": len(mine)})
    empty = [name for name in ("login", "role", "address", "session", "request") if not asked.get(name)]
    image = (asked["detail"].get("images") or [{}])[0]
    hashes = [name for name in ("sha256", "sm3") if image.get(name)]
    everything = scratch.records()
    wrong = _malformed(everything)
    wanted = ["sha256", "sm3"] if scratch.settings.crypto == "gm" else ["sha256"]
    facts = {
        "records": len(everything),
        "malformed": wrong,
        "empty_in_question": empty,
        "picture_hashes": hashes,
    }
    if empty or wrong or hashes != wanted:
        raise FailedError("A record lacks what it must say.", "审计记录缺少应有的内容。", facts)
    return Finding(
        Sentence(
            f"A question's record names login, role, address, session, request, time (UTC), outcome and the "
            f"picture's "
            f"{' and '.join(wanted).upper()}; {len(everything)} records have all fields and no gap.",
            f"提问记录包含登录名、角色、地址、会话、请求号、时间（UTC）、结果和图片的 {'、'.join(wanted).upper()}；"
            f"{len(everything)} 条记录字段齐全、编号连续。",
        ),
        facts,
    )


def _malformed(said: list[Json]) -> int:
    """Records that lack a field, or do not follow on the one before."""
    wrong: int = sum(
        any(name not in record for name in _FIELDS) or not _UTC.fullmatch(record["time"]) for record in said
    )
    return wrong + sum(bool(b["seq"] != a["seq"] + 1) for a, b in pairwise(said))


def _live_fields(context: Context) -> Finding:
    live = context.live
    with live.reading(live.audit()) as connection:
        query = sa.select(records.c.data).order_by(records.c.seq.desc()).limit(_MOST)
        said = [json.loads(bytes(data)) for data in connection.execute(query).scalars()][::-1]
    wrong = _malformed(said)
    facts = {"records": len(said), "malformed": wrong}
    if not said:
        raise NotEvaluatedError("The live record is empty.", "实际系统的审计记录为空。", facts)
    if wrong:
        raise FailedError(
            f"{wrong} of the last {len(said)} records lack a field, or leave a gap.",
            f"最近 {len(said)} 条记录中有 {wrong} 条缺少字段或编号不连续。",
            facts,
        )
    return Finding(
        Sentence(
            f"The last {len(said)} records have all fields, in UTC and without a gap.",
            f"最近 {len(said)} 条记录字段齐全、时间为 UTC、编号连续。",
        ),
        facts,
    )


def _no_delete(context: Context) -> Finding:
    scratch = context.scratch
    auditor = scratch.role_browser(Role.AUDIT)
    altering = [
        f"{route.method} {route.path}"
        for route in scratch.application.routes
        if route.path.startswith("/v1/audit") and route.method in ("DELETE", "PUT", "PATCH")
    ]
    tried = {
        f"{method} {path}": auditor.send(method, path).status_code
        for method in ("DELETE", "PUT", "PATCH")
        for path in ("/v1/audit/records", "/v1/audit/records/1")
    }
    facts = {"routes_that_alter": altering, "tried": tried}
    if altering or any(status not in (404, 405) for status in tried.values()):
        raise FailedError("The record can be altered through the API.", "可通过接口改动审计记录。", facts)
    return Finding(
        Sentence(
            f"No route alters or deletes a record; {len(tried)} tries of the audit administrator got 404 or 405.",
            f"没有改动或删除审计记录的接口；审计管理员的 {len(tried)} 次尝试均返回 404 或 405。",
        ),
        facts,
    )


def _retention(context: Context) -> Finding:
    days = context.settings.audit_days
    refused = False
    try:
        check_days(179)
    except ConfigError:
        refused = True
    facts = {"audit_days": days, "179_days_refused": refused}
    if days < 180 or not refused:
        raise FailedError(
            f"Records are kept for {days} days, or fewer than 180 can be set.",
            f"审计记录保存 {days} 天，或可设置为少于 180 天。",
            facts,
        )
    return Finding(
        Sentence(
            f"Records stay {days} days before they go to archives, which stay; 179 days were refused.",
            f"审计记录保存 {days} 天后转入归档并继续保留；设置 179 天被拒绝。",
        ),
        facts,
    )


def _full(context: Context) -> Finding:
    scratch = context.scratch
    browser = scratch.browser(scratch.person())
    before = ask(browser, "count to 2").status_code
    database = scratch.audit
    name = "comply_full"
    with database.write() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} BEFORE INSERT ON audit_records BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    try:
        full = ask(browser, "count to 2")
        body = full.text
    finally:
        with database.write() as connection:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    after = ask(browser, "count to 2").status_code
    facts = {
        "before": before,
        "while_full": full.status_code,
        "after": after,
        "answered": '"choices"' in body,
    }
    if full.status_code != 503 or '"choices"' in body:
        raise FailedError(
            "A question is answered while nothing can be recorded.", "无法写审计时仍回答提问。", facts
        )
    if (before, after) != (200, 200):
        raise FailedError("The service does not come back.", "恢复后服务没有恢复回答。", facts)
    return Finding(
        Sentence(
            "While the record's database took nothing, a question got 503 and no answer; afterwards it was answered.",
            "审计数据库拒绝写入时，提问得到 503 且没有回答；恢复后正常回答。",
        ),
        facts,
    )


def _queries(context: Context) -> Finding:
    scratch = context.scratch
    auditor, before = scratch.role_browser(Role.AUDIT), scratch.last()
    person = scratch.person()
    reply = ask(scratch.browser(person), "count to 2")
    asked = next(
        (r["seq"] for r in scratch.records(before, login=person.login) if r["event"] == Event.ASKED), 0
    )
    auditor.get("/v1/audit/records")
    without = auditor.post(f"/v1/audit/records/{asked}/content", {}).status_code
    queried = len(scratch.records(before, event=Event.LOG_QUERIED))
    system = scratch.system_browser.get("/v1/audit/records").status_code
    facts = {"asked": reply.status_code, "queries_on_record": queried, "content_without_reason": without,
             "system_administrator": system}  # fmt: skip
    if queried != 1 or without != 400 or system != 403:
        raise FailedError(
            "A query of the record is not on it, or a text is shown without a reason.",
            "查询审计没有留下记录，或可不填理由查看内容。",
            facts,
        )
    return Finding(
        Sentence(
            "The auditor's own query is on the record; a text is not shown without a reason; the system "
            "administrator "
            "got 403.",
            "审计管理员的查询本身被审计；不填理由不能查看内容；系统管理员得到 403。",
        ),
        facts,
    )


def _timeline(context: Context) -> Finding:
    scratch = context.scratch
    person, browser = scratch.enrolled(), scratch.browser()
    before = scratch.last()
    scratch.sign_in(person, browser)
    ask(browser, "count to 2")
    browser.form("/account/sign-out")
    scratch.eventually(lambda: scratch.records(before, login=person.login, event=Event.SIGN_OUT), seconds=3)
    mine = scratch.records(before, login=person.login)
    kinds = [record["event"] for record in mine]
    sessions = {record["session"] for record in mine if record["session"]}
    auditor = scratch.role_browser(Role.AUDIT)
    listed = auditor.get("/v1/audit/records", params={"session": next(iter(sessions), "none")}).json()
    facts = {"events": kinds, "sessions": len(sessions), "found_by_session": len(listed.get("data", []))}
    wanted = [Event.SIGN_IN, Event.ASKED, Event.ANSWERED, Event.SIGN_OUT]
    if [kind for kind in kinds if kind in wanted] != wanted or len(sessions) != 1:
        raise FailedError("A session's course is not whole on the record.", "会话过程在审计中不完整。", facts)
    return Finding(
        Sentence(
            "Sign-in, question, answer and sign-out of one session stand in order, found by its id.",
            "同一会话的登录、提问、回答、退出依次在审计记录中，可按会话查询。",
        ),
        facts,
    )


def _alerts(context: Context) -> Finding:
    scratch = context.scratch
    thresholds = (context.settings.alerts or AlertOptions()).thresholds
    person, other = scratch.person(), scratch.person()
    before = scratch.last()
    browser, foreign = scratch.browser(), scratch.browser(other)
    talk = scratch.browser(person).post("/v1/conversations", {}).json()["id"]
    for _ in range(thresholds.login_failures):
        browser.form("/login", login=person.login, password="Never-The-Right-1-One")  # noqa: S106 - of nobody
    for _ in range(thresholds.foreign_tries):
        foreign.get(f"/v1/conversations/{talk}")
    for _ in range(thresholds.egress_tries):
        scratch.application.recorder.note(
            Event.EGRESS_REFUSED, object="203.0.113.7:443", detail={"by": "comply"}
        )
    wanted = {"login_guessed", "somebody_elses", "egress"}

    def raised() -> set[str]:
        return {record["detail"].get("rule") for record in scratch.records(before, event=Event.ALERT_RAISED)}

    began = time.monotonic()
    scratch.eventually(lambda: wanted <= raised(), seconds=_ALERT_S)
    seconds = round(time.monotonic() - began, 2)
    missing = sorted(wanted - raised())
    facts = {"simulated": sorted(wanted), "missing": missing, "seconds": seconds}
    if missing:
        raise FailedError(f"No alert for: {', '.join(missing)}.", f"没有告警：{'、'.join(missing)}。", facts)
    return Finding(
        Sentence(
            f"Guessing a password, reaching for what is another's, and a way out were told within {seconds:g} s.",
            f"口令猜测、越权访问、外联尝试均在 {seconds:g} 秒内告警。",
        ),
        facts,
    )


EVENTS = Check(
    "events",
    Sentence(
        "On a scratch system: events of sign-in, administration, questions, export, keys and refusal are driven.",
        "在临时系统上：依次触发登录、管理、提问、导出、密钥、拒绝等事件。",
    ),
    _events,
)
FIELDS = Check(
    "record_fields",
    Sentence(
        "On a scratch system: a question with a picture is asked; its record, and the form of all records.",
        "在临时系统上：带图片提问，检查其记录及全部记录的格式。",
    ),
    _fields,
)
LIVE_FIELDS = Check(
    "live_record_fields",
    Sentence(
        "The form of the last 10,000 records of the live system.", "检查实际系统最近 10000 条记录的格式。"
    ),
    _live_fields,
)
NO_DELETE = Check(
    "no_delete",
    Sentence(
        "On a scratch system: the audit administrator alters and deletes records through the API.",
        "在临时系统上：审计管理员尝试通过接口修改、删除记录。",
    ),
    _no_delete,
)
RETENTION = Check(
    "retention",
    Sentence("The live setting; 179 days are asked for.", "检查实际设置，并尝试设置为 179 天。"),
    _retention,
)
AUDIT_FULL = Check(
    "audit_full",
    Sentence(
        "On a scratch system: the audit's database takes nothing more; a question is asked, before, then and after.",
        "在临时系统上：令审计数据库拒绝写入，前、中、后各提问一次。",
    ),
    _full,
)
QUERIES = Check(
    "audit_queries",
    Sentence(
        "On a scratch system: the auditor asks for records, and for a text without a reason; others ask for records.",
        "在临时系统上：审计管理员查询记录、不填理由查看内容；其他管理员查询记录。",
    ),
    _queries,
)
TIMELINE = Check(
    "session_timeline",
    Sentence(
        "On a scratch system: somebody signs in, asks, and signs out; the records of the session.",
        "在临时系统上：登录、提问、退出，检查该会话的审计记录。",
    ),
    _timeline,
)
ALERTS = Check(
    "alerts",
    Sentence(
        "On a scratch system: a password is guessed, another's conversation reached for, an egress try recorded.",
        "在临时系统上：猜测口令、访问他人对话、记录一次外联尝试。",
    ),
    _alerts,
)
