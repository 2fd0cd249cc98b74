"""Who reaches what: nobody, each role, the owner, the label (8.1.4.2, 8.1.4.4, 8.1.5)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.audit.events import Event
from vlpro.compliance.clause import Check, FailedError, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import FOREIGN, METRICS, picture
from vlpro.identity.permissions import ADMINISTRATORS, PERMISSIONS, Permission, Role
from vlpro.identity.tables import role_grants

__all__ = [
    "ANONYMOUS",
    "LABELS",
    "METRICS_CLOSED",
    "OWNERS",
    "POLICY_AUTHORITY",
    "ROLES_EXCLUSIVE",
    "ROLE_MATRIX",
]

_OPEN = ("/healthz", "/login")
_INSIDE = ("/", "/v1/docs", "/v1/openapi.json", "/metrics", "/_stcore/health", "/_stcore/metrics", "/nope")
_SHARED = frozenset({Permission.STATUS_READ, Permission.SELF_USE})
# What only one kind of administrator may do, whatever the table says.
_OWN = {
    Permission.ACCOUNT_WRITE: Role.SYSTEM,
    Permission.SESSION_REVOKE: Role.SYSTEM,
    Permission.ROLE_GRANT: Role.SECURITY,
    Permission.POLICY_READ: Role.SECURITY,
    Permission.POLICY_WRITE: Role.SECURITY,
    Permission.LEVEL_SET: Role.SECURITY,
    Permission.AUDIT_READ: Role.AUDIT,
}


def _anonymous(context: Context) -> Finding:
    scratch = context.scratch
    nobody = scratch.browser()
    routes = [(route.method, route.path) for route in scratch.application.routes]
    routes += [("GET", path) for path in _INSIDE]
    statuses = {f"{method} {path}": nobody.send(method, path).status_code for method, path in routes}
    let_in = {route: status for route, status in statuses.items() if status != 401}
    open_ = {path: nobody.get(path).status_code for path in _OPEN}
    facts = {"routes_walked": len(statuses), "not_401": let_in, "exceptions": open_}
    if let_in:
        raise FailedError(
            f"{len(let_in)} of {len(statuses)} routes answer nobody otherwise than with 401: {next(iter(let_in))}.",
            f"{len(statuses)} 个接口中有 {len(let_in)} 个对匿名请求没有返回 401：{next(iter(let_in))}。",
            facts,
        )
    if set(open_.values()) != {200}:
        raise FailedError("The way in is closed, too.", "登录入口也无法访问。", facts)
    return Finding(
        Sentence(
            f"All {len(statuses)} routes and pages answered nobody with 401; open are {', '.join(_OPEN)} alone, with "
            "what lies below the sign-in.",
            f"{len(statuses)} 个接口和页面对匿名请求均返回 401；仅 {'、'.join(_OPEN)} 及登录流程开放。",
        ),
        facts,
    )


def _matrix(context: Context) -> Finding:
    scratch = context.scratch
    routes = [route for route in scratch.application.routes if route.permission is not None]
    wrong: dict[str, int] = {}
    allowed = 0
    for role in Role:
        for route in routes:
            # A browser each: some routes end the session that asks.
            person = scratch.role_browser(role)
            body: dict[str, Any] = {"json": {}} if route.method in ("POST", "PUT", "PATCH") else {}
            status = person.send(route.method, route.path, **body).status_code
            may = route.permission in PERMISSIONS[role]
            allowed += may
            if (status in (401, 403)) if may else (status != 403):
                wrong[f"{role}: {route.method} {route.path}"] = status
    overlap = _overlaps()
    facts = {"routes": len(routes), "roles": len(Role), "cells": len(routes) * len(Role), "allowed": allowed,
             "wrong": wrong, "overlaps": overlap}  # fmt: skip
    if wrong or overlap:
        first = next(iter(wrong or overlap))
        raise FailedError(f"Roles are not kept apart: {first}.", f"角色权限没有分离：{first}。", facts)
    return Finding(
        Sentence(
            f"{facts['cells']} cells of {len(Role)} roles by {len(routes)} routes came out as the table of "
            f"roles says; "
            "no administrator may do another's work.",
            f"{len(Role)} 种角色 × {len(routes)} 个接口共 {facts['cells']} 项，结果均符合角色权限表；"
            "管理员之间互无对方权限。",
        ),
        facts,
    )


def _overlaps() -> list[str]:
    """What the table of roles gives to whom it must not."""
    found = [
        f"{role} has {permission}"
        for permission, owner in _OWN.items()
        for role in Role
        if role is not owner and permission in PERMISSIONS[role]
    ]
    content = PERMISSIONS[Role.USER] - _SHARED
    return found + [f"{role} has {each}" for role in ADMINISTRATORS for each in content & PERMISSIONS[role]]


def _exclusive(context: Context) -> Finding:
    scratch = context.scratch
    person = scratch.person(Role.SYSTEM)
    refused = False
    try:
        scratch.sql(
            sa.insert(role_grants).values(
                account=person.id, role="audit", granted_by=scratch.security.id, granted_at=0
            )
        )
    except IntegrityError:
        refused = True
    own = scratch.security_browser.send(
        "PUT", f"/v1/accounts/{scratch.security.id}/role", json={"role": "audit"}
    )
    facts = {"second_role_refused_by_database": refused, "own_role_status": own.status_code}
    if not refused:
        raise FailedError(
            "The database takes two roles of one account.", "数据库允许一个账号有两个角色。", facts
        )
    if own.status_code < 400:
        raise FailedError("Somebody gave themselves a role.", "有人可以给自己授予角色。", facts)
    return Finding(
        Sentence(
            "The database refused a second role of one account; the security administrator could not grant to "
            "themselves.",
            "数据库拒绝同一账号的第二个角色；安全管理员不能给自己授权。",
        ),
        facts,
    )


def _authority(context: Context) -> Finding:
    scratch = context.scratch
    statuses = {
        str(role): scratch.role_browser(role)
        .send("PUT", "/v1/policy", json={"content": {}, "base": 0, "note": "x"})
        .status_code
        for role in Role
        if role is not Role.SECURITY
    }
    security, before = scratch.security_browser, scratch.last()
    base = security.get("/v1/policy").json().get("version")
    made = security.send("PUT", "/v1/policy", json={"content": {}, "base": base, "note": "comply"})
    stale = security.send("PUT", "/v1/policy", json={"content": {}, "base": base, "note": "comply"})
    records = len(scratch.records(before, event=Event.POLICY_DECIDED))
    facts = {"others": statuses, "security": made.status_code, "from_old_version": stale.status_code,
             "records": records}  # fmt: skip
    if set(statuses.values()) != {403} or made.status_code != 200 or records != 1 or stale.status_code != 409:
        raise FailedError(
            "The policy is not the security administrator's alone, or its change leaves not one record.",
            "策略不是仅由安全管理员配置，或修改没有恰好留下一条审计记录。",
            facts,
        )
    return Finding(
        Sentence(
            "The other three roles got 403; the security administrator made a new version, with one record; a change "
            "of an old version was refused.",
            "其他三种角色均得到 403；安全管理员生成新版本并留下一条审计记录；基于旧版本的修改被拒绝。",
        ),
        facts,
    )


def _owners(context: Context) -> Finding:
    scratch = context.scratch
    hers, his = scratch.browser(scratch.person()), scratch.browser(scratch.person())
    talk = hers.post("/v1/conversations", {}).json()["id"]
    image = hers.send("POST", "/v1/images", content=picture()).json()["id"]
    key = hers.post("/v1/account/keys", {"name": "k", "scopes": ["chat:answer:create"], "days": 1}).json()
    session = hers.get("/v1/account/sessions").json()["data"][0]["id"]
    base = hers.post("/v1/knowledge-bases", {"name": "comply"}).json().get("id", "")
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/images/{image}", {}),
        ("GET", f"/v1/images/{image}/content", {}),
        ("DELETE", f"/v1/images/{image}", {}),
        ("GET", f"/v1/conversations/{talk}", {}),
        ("POST", f"/v1/conversations/{talk}/messages", {"json": {"text": "x"}}),
        ("POST", f"/v1/conversations/{talk}/stop", {}),
        ("DELETE", f"/v1/conversations/{talk}", {}),
        ("DELETE", f"/v1/account/keys/{key.get('key', {}).get('id')}", {}),
        ("DELETE", f"/v1/account/sessions/{session}", {}),
        ("GET", f"/v1/knowledge-bases/{base}", {}),
        ("DELETE", f"/v1/knowledge-bases/{base}", {}),
    ]
    statuses = [his.send(method, path, **body).status_code for method, path, body in tries]
    kinds = [f"{method} {path.split('/')[2]}" for method, path, _ in tries]
    reached = [kind for kind, status in zip(kinds, statuses, strict=True) if status != 404]
    listed = talk in his.get("/v1/conversations").text
    kept = hers.get(f"/v1/conversations/{talk}").status_code
    facts = {"tried": len(tries), "reached": reached, "listed": listed, "owner_afterwards": kept}
    if reached or listed:
        raise FailedError(
            f"Somebody reaches what is another's: {', '.join(reached) or 'a list'}.",
            f"可以访问他人的内容：{'、'.join(reached) or '列表'}。",
            facts,
        )
    if kept != 200:
        raise FailedError("Its owner does not reach it, either.", "所有者自己也无法访问。", facts)
    return Finding(
        Sentence(
            f"{len(tries)} tries at another user's conversation, picture, key, session and knowledge base got 404; "
            "its owner still has it.",
            f"对他人的对话、图片、密钥、会话、知识库共 {len(tries)} 次尝试均返回 404；所有者仍可访问。",
        ),
        facts,
    )


def _labels(context: Context) -> Finding:
    scratch = context.scratch
    person = scratch.person()
    browser, security = scratch.browser(person), scratch.security_browser
    too_high = browser.post("/v1/conversations", {"level": "secret"}).status_code
    made = browser.post("/v1/conversations", {"level": "internal"})
    security.send("PUT", f"/v1/accounts/{person.id}/level", json={"level": "public"})
    path = f"/v1/conversations/{made.json().get('id')}"
    read_up = scratch.becomes(403, browser, path)
    facts = {"made_above": too_high, "made_at_level": made.status_code, "read_above": read_up}
    if (too_high, made.status_code, read_up) != (403, 201, 403):
        raise FailedError("A label does not hold.", "安全标记未生效。", facts)
    return Finding(
        Sentence(
            "A user of level internal could not make what is secret; lowered to public, they could not read what is "
            "internal any more.",
            "内部级用户不能创建秘密级对话；降为公开级后不能再读取内部级对话。",
        ),
        facts,
    )


def _metrics(context: Context) -> Finding:
    scratch = context.scratch
    paths = ("/metrics", "/readyz", "/_stcore/health", "/_stcore/metrics")
    outside = {path: scratch.browser(address=FOREIGN).get(path).status_code for path in paths}
    listed = context.settings.metrics_addresses
    inside = None if listed else scratch.browser(address=METRICS).get("/metrics").status_code
    told = scratch.browser(address=FOREIGN).get("/readyz").text
    facts = {"outside": outside, "listed_address": inside, "readyz_bytes": len(told)}
    closed = {path: status for path, status in outside.items() if path != "/readyz"}
    if any(status not in (401, 403, 404) for status in closed.values()):
        raise FailedError("An outsider reads metrics or states.", "外部地址可读取监控指标或状态。", facts)
    if inside not in (None, 200):
        raise FailedError("Nobody reads the metrics.", "监控指标无人可读。", facts)
    return Finding(
        Sentence(
            "An unlisted address got neither metrics nor the page's states; the listed one got the metrics. Open are "
            "the probes /healthz and /readyz, which name no user and no content.",
            "未列出的地址得不到监控指标和页面状态；列出的地址可读取指标。仅探针 /healthz、/readyz 开放，"
            "不含用户或内容信息。",
        ),
        facts,
    )


ANONYMOUS = Check(
    "anonymous_walk",
    Sentence(
        "On a scratch system: every route of the OpenAPI and every page is asked for without a session.",
        "在临时系统上：不带会话逐一请求 OpenAPI 的全部接口和全部页面。",
    ),
    _anonymous,
)
ROLE_MATRIX = Check(
    "role_matrix",
    Sentence(
        "On a scratch system: every route as each role; what the table of roles gives to administrators.",
        "在临时系统上：以每种角色请求每个接口，并检查角色权限表中管理员的权限。",
    ),
    _matrix,
)
ROLES_EXCLUSIVE = Check(
    "roles_exclusive",
    Sentence(
        "On a scratch system: a second role is put into the database; somebody grants a role to themselves.",
        "在临时系统上：向数据库写入第二个角色；尝试给自己授予角色。",
    ),
    _exclusive,
)
POLICY_AUTHORITY = Check(
    "policy_authority",
    Sentence("On a scratch system: each role decides a policy.", "在临时系统上：以每种角色修改策略。"),
    _authority,
)
OWNERS = Check(
    "owners",
    Sentence(
        "On a scratch system: a user reads, alters and deletes what is another user's.",
        "在临时系统上：一个用户读取、修改、删除另一用户的内容。",
    ),
    _owners,
)
LABELS = Check(
    "labels",
    Sentence(
        "On a scratch system: a user makes and reads conversations above their level.",
        "在临时系统上：用户创建和读取高于自身等级的对话。",
    ),
    _labels,
)
METRICS_CLOSED = Check(
    "metrics_closed",
    Sentence(
        "On a scratch system: metrics and states are asked for from an unlisted address, and from the listed one.",
        "在临时系统上：从未列出的地址和列出的地址请求监控指标与状态。",
    ),
    _metrics,
)
