"""Signing in: failures, second factors, sessions and their cookies (8.1.4.1 b, c, d; 8.1.4.2 b, c)."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from vlpro.audit.events import Event, Outcome
from vlpro.compliance.clause import Check, FailedError, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import FOREIGN, Browser, Person, Scratch
from vlpro.identity.addresses import one_outside
from vlpro.identity.permissions import ADMINISTRATORS, Role
from vlpro.identity.tables import accounts, failures, recovery_codes, sessions, sign_ins
from vlpro.identity.tokens import digest

__all__ = [
    "ACCOUNT_EXPIRES",
    "ADDRESSES_OF_ADMINISTRATORS",
    "ADDRESS_LOCK",
    "ADDRESS_REFUSED",
    "COOKIES",
    "IDLE_SESSION",
    "LOCKOUT",
    "NO_DEFAULT_ACCOUNT",
    "SESSION_CAP",
    "SIGN_OUT",
    "TWO_FACTORS",
]

_DAY_S = 86_400
_DEFAULTS = (
    ("admin", "admin"), ("admin", "123456"), ("root", "root"), ("administrator", "password"), ("test", "test"),
    ("guest", "guest"), ("vlpro", "vlpro"),
)  # fmt: skip
_WRONG = "Never-The-Right-1-One"


def _lockout(context: Context) -> Finding:
    scratch, browser = context.scratch, context.scratch.browser()
    limit = scratch.policy.lock_after_failures
    person, before = scratch.enrolled(), scratch.last()
    for _ in range(limit):
        browser.form("/login", login=person.login, password=_WRONG)
    reply = browser.form("/login", login=person.login, password=person.password)
    refused = [
        record
        for record in scratch.records(before, login=person.login, event=Event.SIGN_IN)
        if record["outcome"] == Outcome.REFUSED
    ]
    facts = {
        "wrong_tries": limit,
        "right_try_after": reply.status_code,
        "refusals_on_record": len(refused),
        "lock_minutes": scratch.policy.lock_minutes,
    }
    if reply.status_code == 303:
        raise FailedError(
            f"After {limit} wrong passwords the right one is taken.",
            f"{limit} 次错误后正确口令仍被接受。",
            facts,
        )
    if len(refused) != limit + 1:
        raise FailedError(
            f"{limit + 1} refused sign-ins left {len(refused)} records.",
            f"{limit + 1} 次被拒绝的登录只留下 {len(refused)} 条审计记录。",
            facts,
        )
    return Finding(
        Sentence(
            f"After {limit} wrong passwords the right one was refused for {scratch.policy.lock_minutes} minutes; "
            f"{len(refused)} refusals are on the record.",
            f"{limit} 次错误后正确口令也被拒绝，锁定 {scratch.policy.lock_minutes} 分钟；"
            f"{len(refused)} 次拒绝均有审计记录。",
        ),
        facts,
    )


def _address_lock(context: Context) -> Finding:
    scratch = context.scratch
    limit, browser = scratch.policy.address_failures, scratch.browser()
    person = scratch.enrolled()
    first = browser.form("/login", login="comply-nobody", password=_WRONG).status_code
    # As if others had followed: one failed try from there is counted for as many as lack one more.
    scratch.sql(
        sa.update(failures)
        .where(failures.c.subject == digest(f"address:{browser.address}"))
        .values(tries=limit - 1)
    )
    browser.form("/login", login="comply-somebody", password=_WRONG)
    after = browser.form("/login", login=person.login, password=person.password)
    elsewhere = scratch.browser().form("/login", login=person.login, password=person.password)
    facts = {
        "limit": limit,
        "first_try": first,
        "right_try_from_there": after.status_code,
        "right_try_from_elsewhere": elsewhere.status_code,
    }
    if after.status_code == 303:
        raise FailedError(
            f"An address may fail {limit} times at other logins and go on.",
            f"同一地址在其他登录名上失败 {limit} 次后仍不受限制。",
            facts,
        )
    if elsewhere.status_code != 303:
        raise FailedError(
            "The lock of one address shuts others out.", "单一地址被锁定影响了其他地址。", facts
        )
    return Finding(
        Sentence(
            f"At {limit} failures, at any logins, the address was locked, and no other.",
            f"累计失败 {limit} 次（不限登录名）后该地址被锁定，其他地址不受影响。",
        ),
        facts,
    )


def _idle(context: Context) -> Finding:
    scratch, policy = context.scratch, context.scratch.policy
    person = scratch.person()
    tried: dict[str, int] = {}
    for name, minutes, hours in (
        ("just in time", policy.idle_minutes - 0.5, 0),
        ("idle", policy.idle_minutes + 0.5, 0),
        ("absolute", 0, policy.session_hours),
    ):
        browser, now = scratch.browser(person), time.time()
        scratch.sql(
            sa.update(sessions)
            .where(sessions.c.account == person.id)
            .values(
                seen_at=now - minutes * 60,
                created_at=now - max(minutes * 60, hours * 3600 + 30),
                expires_at=now - 30 if hours else sessions.c.expires_at,
            )
        )
        tried[name] = browser.get("/v1/account").status_code
        scratch.sql(sa.delete(sessions).where(sessions.c.account == person.id))
    scratch.session(person)
    with scratch.database.read() as connection:
        row = connection.execute(sa.select(sessions).where(sessions.c.account == person.id)).first()
    longest = round((row.expires_at - row.created_at) / 3600, 2) if row is not None else 0.0
    facts = {"idle_minutes": policy.idle_minutes, "session_hours": longest, "status": tried}
    if tried["idle"] != 401 or tried["absolute"] != 401:
        raise FailedError("A session lives on beyond its time.", "会话超过时限后仍然有效。", facts)
    if tried["just in time"] != 200:
        raise FailedError("A session ends before its time.", "会话在时限之前失效。", facts)
    return Finding(
        Sentence(
            f"Idle for {policy.idle_minutes} minutes a session was over, before that not; at most it lives"
            f" {longest:g} h.",
            f"闲置 {policy.idle_minutes} 分钟后会话失效，此前有效；会话最长 {longest:g} 小时。",
        ),
        facts,
    )


def _sign_out(context: Context) -> Finding:
    scratch = context.scratch
    person = scratch.person()
    browser, copied = scratch.browser(person), scratch.browser(person)
    here = browser.get("/v1/account").status_code
    browser.form("/account/sign-out")
    after = scratch.becomes(401, browser, "/v1/account")
    disabled = scratch.system_browser.post(f"/v1/accounts/{person.id}/disable").status_code
    ended = scratch.becomes(401, copied, "/v1/account")
    facts = {"before": here, "signed_out": after, "disable": disabled, "another_after_disabling": ended}
    if (here, after, ended) != (200, 401, 401):
        raise FailedError(
            "A session outlives its sign-out, or its account.", "退出登录或停用账号后会话仍然有效。", facts
        )
    return Finding(
        Sentence(
            "The cookie of a session that was signed out, and of an account that was disabled, opened nothing more.",
            "退出登录后的会话、被停用账号的会话均立即失效。",
        ),
        facts,
    )


def _cookies(context: Context) -> Finding:
    scratch = context.scratch
    person, browser = scratch.enrolled(), scratch.browser()
    seen: dict[str, list[str]] = {}
    _watch_cookies(browser, seen)
    scratch.sign_in(person, browser)
    wanted = {"secure", "httponly", "samesite=strict", "path=/"}
    lacking = {name: sorted(wanted - set(parts)) for name, parts in seen.items() if wanted - set(parts)}
    session = next((name for name in seen if name.endswith("session")), "")
    facts = {"cookies": seen}
    if lacking or not session or not session.startswith("__Host-"):
        raise FailedError(
            f"A cookie lacks: {lacking or 'the prefix __Host-'}.",
            f"Cookie 缺少属性：{lacking or '__Host- 前缀'}。",
            facts,
        )
    return Finding(
        Sentence(
            f"{len(seen)} cookies were set, each __Host-, Secure, HttpOnly and SameSite=Strict.",
            f"共设置 {len(seen)} 个 Cookie，均带有 __Host- 前缀、Secure、HttpOnly 和 SameSite=Strict。",
        ),
        facts,
    )


def _watch_cookies(browser: Browser, seen: dict[str, list[str]]) -> None:
    """Keep the attributes of each cookie that is set, and never its value."""

    async def look(response: Any) -> None:
        for line in response.headers.get_list("set-cookie"):
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, _, value = pair.partition("=")
            if value.strip('"'):
                seen[name] = sorted(part.lower() for part in attributes)

    browser.http.event_hooks["response"].append(look)


def _two_factors(context: Context) -> Finding:
    scratch = context.scratch
    facts: dict[str, Any] = {}
    for role in ("user", "system"):
        facts[role] = _factors_of(scratch, role)
    wrong = [
        f"{role}: {name}"
        for role in ("user", "system")
        for name, opened in facts[role].items()
        if opened != (name == "right code")
    ]
    plain = _plain_codes(scratch)
    facts["recovery_codes_stored"], facts["stored_in_clear"] = plain
    if wrong:
        raise FailedError(f"Wrong: {', '.join(wrong)}.", f"不符合：{'、'.join(wrong)}。", facts)
    if not plain[0] or plain[1]:
        raise FailedError("Recovery codes are not stored as hashes.", "恢复码未以散列存储。", facts)
    return Finding(
        Sentence(
            "A password alone, a wrong code and a code that was used opened no session; the right code did. For a "
            "user and for an administrator.",
            "仅凭口令、错误的动态口令、已用过的动态口令均不能登录；正确的动态口令可以登录。普通用户和管理员均已验证。",
        ),
        facts,
    )


def _factors_of(scratch: Scratch, role: str) -> dict[str, bool]:
    """Whether each try opened a session."""
    person = scratch.enrolled(Role(role))
    code = scratch.code(person)
    tries = {"password alone": "", "wrong code": _another(code), "right code": code, "used code": code}
    return {name: _opens(scratch, person, given) for name, given in tries.items()}


def _opens(scratch: Scratch, person: Person, code: str) -> bool:
    browser = scratch.browser(administers=True)
    browser.form("/login", login=person.login, password=person.password)
    if code:
        browser.form("/login/code", method="totp", code=code)
    browser.page("/login/continue")
    if not browser.session:
        browser.form("/login/password", new=_WRONG, repeat=_WRONG)
        browser.form("/login/recovery-codes", kept="yes")
        browser.page("/login/continue")
    return browser.get("/v1/account").status_code == 200


def _another(code: str) -> str:
    return f"{(int(code) + 500_000) % 1_000_000:06}"


def _plain_codes(scratch: Scratch) -> tuple[int, int]:
    """Recovery codes that a first sign-in stores, and those among them that are text of a code."""
    scratch.sign_in(scratch.person(), scratch.browser())
    with scratch.database.read() as connection:
        stored = [bytes(code) for code in connection.execute(sa.select(recovery_codes.c.code)).scalars()]
    return len(stored), sum(len(code) != 32 or code.isascii() for code in stored)


def _no_default(context: Context) -> Finding:
    scratch = context.scratch
    replies = scratch.together(
        [
            scratch.browser().http.post("/login", data={"login": login, "password": password})
            for login, password in _DEFAULTS
        ]
    )
    with scratch.database.read() as connection:
        begun = connection.execute(
            sa.select(sa.func.count())
            .select_from(sign_ins.join(accounts))
            .where(accounts.c.login.in_([login for login, _ in _DEFAULTS]))
        ).scalar_one()
    statuses = sorted({reply.status_code for reply in replies})
    facts = {
        "accounts_in_fresh_database": scratch.accounts_at_first,
        "tried": [f"{login}/{password}" for login, password in _DEFAULTS],
        "status": statuses,
    }
    if scratch.accounts_at_first or begun or 303 in statuses:
        raise FailedError("There is a default account.", "存在默认账号。", facts)
    return Finding(
        Sentence(
            f"A fresh database holds no account; {len(_DEFAULTS)} usual default passwords were refused.",
            f"全新数据库中没有账号；{len(_DEFAULTS)} 组常见默认口令均被拒绝。",
        ),
        facts,
    )


def _expires(context: Context) -> Finding:
    scratch, days = context.scratch, context.scratch.policy.disable_after_idle_days
    now = time.time()
    states: dict[str, dict[str, Any]] = {
        "expired": {"expires_at": now - 60},
        "unused": {"active_at": now - (days + 1) * _DAY_S},
        "in use": {},
    }
    tried: dict[str, dict[str, int]] = {}
    for name, values in states.items():
        person = scratch.person()
        session = scratch.browser(person)
        if values:
            scratch.sql(sa.update(accounts).where(accounts.c.id == person.id).values(**values))
        login = scratch.browser().form("/login", login=person.login, password=person.password)
        tried[name] = {"session": session.get("/v1/account").status_code, "sign_in": login.status_code}
    facts = {"unused_days": days, "status": tried}
    open_ = [
        name
        for name in ("expired", "unused")
        if tried[name]["sign_in"] == 303 or (name == "expired" and tried[name]["session"] == 200)
    ]
    if open_:
        raise FailedError(f"Still in use: {', '.join(open_)}.", f"仍可使用：{'、'.join(open_)}。", facts)
    if tried["in use"] != {"session": 200, "sign_in": 303}:
        raise FailedError("An account in use is shut out, too.", "正常账号也被拒绝。", facts)
    return Finding(
        Sentence(
            f"An account past its end, and one unused for {days + 1} days, were refused.",
            f"已到期的账号和 {days + 1} 天未使用的账号均被拒绝。",
        ),
        facts,
    )


def _cap(context: Context) -> Finding:
    scratch, most = context.scratch, context.scratch.policy.sessions_per_account
    person = scratch.person()
    browsers = []
    for _ in range(most + 1):
        browsers.append(scratch.browser(person))
        time.sleep(0.002)  # so that the clock tells which is the oldest
    statuses = [browser.get("/v1/account").status_code for browser in browsers]
    living = statuses.count(200)
    facts = {"sessions_begun": most + 1, "sessions_living": living, "oldest": statuses[0]}
    if living != most or statuses[0] == 200:
        raise FailedError(
            f"{living} sessions of one account live at once; {most} may.",
            f"同一账号同时有 {living} 个会话，策略上限为 {most} 个。",
            facts,
        )
    return Finding(
        Sentence(
            f"With session {most + 1} of one account the oldest ended.",
            f"第 {most + 1} 个会话开始时，最早的会话被结束。",
        ),
        facts,
    )


def _foreign(context: Context) -> Finding:
    scratch = context.scratch
    person = scratch.person()
    inside, outside = scratch.browser(person), scratch.browser(person, address=FOREIGN)
    tried = {
        "inside with a session": inside.get("/v1/account").status_code,
        "outside with a session": outside.get("/v1/account").status_code,
        "outside without": scratch.browser(address=FOREIGN).get("/v1/models").status_code,
        "outside at the sign-in": scratch.browser(address=FOREIGN).get("/login").status_code,
        "outside, its header says inside": scratch.browser(
            person, address=FOREIGN, x_forwarded_for=inside.address
        )
        .get("/v1/account")
        .status_code,
    }
    facts = {"status": tried, "outside": FOREIGN}
    open_ = [name for name, status in tried.items() if "outside" in name and status not in (401, 403)]
    if open_ or tried["inside with a session"] != 200:
        raise FailedError(f"Let in: {', '.join(open_)}.", f"被放行：{'、'.join(open_)}。", facts)
    return Finding(
        Sentence(
            "An address that the policy does not list got 401 or 403 four times, though its session was good; so did "
            "one that claimed another address.",
            "策略未列出的地址即使持有有效会话也得到 401 或 403；伪造来源地址同样被拒绝。",
        ),
        facts,
    )


def _administration(context: Context) -> Finding:
    version, policy = context.live.policy()
    users, administrators = policy.user_addresses, policy.administration_addresses
    elsewhere = one_outside(users, administrators)
    facts: dict[str, Any] = {"policy_version": version, "user_addresses": list(users),
                             "administration_addresses": list(administrators), "elsewhere": elsewhere}  # fmt: skip
    if not elsewhere:
        raise FailedError(
            "Administrators may come from wherever users may. The security administrator narrows "
            "administration_addresses to their machines.",
            "管理员可从任何用户地址登录。请由安全管理员将 administration_addresses 限定为管理终端地址。",
            facts,
        )
    scratch = context.scratch
    tried: dict[str, dict[str, int]] = {}
    for role in (*sorted(ADMINISTRATORS), Role.USER):
        person = scratch.person(role)
        there = scratch.browser(person, address=elsewhere)
        tried[str(role)] = {"elsewhere": there.get("/v1/account").status_code}
        if role in ADMINISTRATORS:
            listed = scratch.browser(person, administers=True)
            tried[str(role)]["listed"] = listed.get("/v1/account").status_code
    facts["status"] = tried
    let_in = [role for role in map(str, ADMINISTRATORS) if tried[role]["elsewhere"] not in (401, 403)]
    if let_in:
        raise FailedError(
            f"Let in from {elsewhere}, which is not listed for administrators: {', '.join(sorted(let_in))}.",
            f"从未列入管理地址的 {elsewhere} 被放行：{'、'.join(sorted(let_in))}。",
            facts,
        )
    if tried["user"]["elsewhere"] != 200 or any(tried[str(role)]["listed"] != 200 for role in ADMINISTRATORS):
        raise FailedError("Somebody is shut out at an address that is listed.", "列入的地址也被拒绝。", facts)
    return Finding(
        Sentence(
            f"From {elsewhere}, where users may come from, no administrator was let in, with a good session; at an "
            "address that is listed for administration all three were.",
            f"从用户可用的地址 {elsewhere}，三类管理员即使持有有效会话也被拒绝；从列入的管理地址均可访问。",
        ),
        facts,
    )


LOCKOUT = Check(
    "lockout",
    Sentence(
        "On a scratch system with the live policy: wrong passwords until the limit, then the right one; the records.",
        "在采用实际策略的临时系统上：连续输错口令至上限，再输入正确口令，并核对审计记录。",
    ),
    _lockout,
)
ADDRESS_LOCK = Check(
    "address_lock",
    Sentence(
        "On a scratch system: an address fails at a login; its count is put to one below the limit; it fails at "
        "another login, then gives the right password, as another address does.",
        "在临时系统上：某地址登录失败一次，将其计数调到上限减一，再在另一登录名上失败一次，然后输入正确口令；"
        "并从其他地址登录对照。",
    ),
    _address_lock,
)
IDLE_SESSION = Check(
    "idle_session",
    Sentence(
        "On a scratch system: a session's last use is put back to just before, and just after, the limits.",
        "在临时系统上：将会话的最后使用时间调到时限之前和之后。",
    ),
    _idle,
)
SIGN_OUT = Check(
    "sign_out",
    Sentence(
        "On a scratch system: the cookie of a session is used again after sign-out, and after disabling the account.",
        "在临时系统上：退出登录、停用账号后再次使用原会话。",
    ),
    _sign_out,
)
COOKIES = Check(
    "cookies",
    Sentence(
        "The cookies of a whole sign-in on a scratch system.", "检查临时系统上一次完整登录所设置的 Cookie。"
    ),
    _cookies,
)
TWO_FACTORS = Check(
    "two_factors",
    Sentence(
        "On a scratch system, as user and as administrator: the password alone, a wrong code, the right one, the "
        "same again.",
        "在临时系统上分别以普通用户和管理员：仅口令、错误动态口令、正确动态口令、重放同一动态口令。",
    ),
    _two_factors,
)
NO_DEFAULT_ACCOUNT = Check(
    "no_default_account",
    Sentence(
        "The accounts of a fresh database are counted; usual default passwords are tried.",
        "统计全新数据库中的账号，并尝试常见默认口令。",
    ),
    _no_default,
)
ACCOUNT_EXPIRES = Check(
    "account_expires",
    Sentence(
        "On a scratch system: one account is past its end, one unused for longer than the policy allows.",
        "在临时系统上：一个账号已到期，一个账号闲置超过策略期限。",
    ),
    _expires,
)
SESSION_CAP = Check(
    "session_cap",
    Sentence(
        "On a scratch system: one session more than the policy allows is begun.",
        "在临时系统上：开始比策略上限多一个的会话。",
    ),
    _cap,
)
ADDRESSES_OF_ADMINISTRATORS = Check(
    "addresses_of_administrators",
    Sentence(
        "The live policy's addresses for administration; on a scratch system, administrators from where only users "
        "may come.",
        "检查实际策略中的管理地址；在临时系统上，管理员从仅限用户的地址访问。",
    ),
    _administration,
)
ADDRESS_REFUSED = Check(
    "address_refused",
    Sentence(
        "On a scratch system: requests from an address that the policy does not list, with and without a session.",
        "在临时系统上：从策略未列出的地址发出请求，有会话和无会话各试。",
    ),
    _foreign,
)
