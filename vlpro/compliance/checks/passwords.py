"""Passwords and logins: rules, age, the first sign-in, how they are stored (8.1.4.1 a)."""

from __future__ import annotations

import re
import time

import sqlalchemy as sa

from vlpro.compliance.clause import Check, FailedError, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import PASSWORD, Scratch
from vlpro.identity.tables import accounts, past_passwords

__all__ = ["LIVE_HASHES", "LOGINS_UNIQUE", "PASSWORD_AGED", "PASSWORD_RULES"]

_DAY_S = 86_400
_ARGON2 = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")


def _rules(context: Context) -> Finding:
    scratch = context.scratch
    person, browser = scratch.person(), scratch.browser()
    browser.form("/login", login=person.login, password=person.password)
    page = browser.page("/login/continue")
    if 'name="new"' not in page.text or browser.session:
        raise FailedError(
            "A one-time password opens a session without being changed.",
            "一次性口令未经修改即可登录。",
            {"asked_to_change": 'name="new"' in page.text},
        )
    long = PASSWORD[: scratch.policy.password_min_length - 1]
    tried = {
        "empty": "",
        "short": long,
        "one class": "a" * 24,
        "two classes": "aaaaaaaaaaaa1111",
        "common": "Password1234",
        "its own login": f"{person.login}-{person.login}-A1",
        "keyboard": "Qwertyuiop123",
        "the one-time password": person.password,
    }
    taken = []
    for name, text in tried.items():
        browser.form("/login/password", new=text, repeat=text)
        if 'name="new"' not in browser.page("/login/continue").text:
            taken.append(name)
            break  # the step is over
    facts = {"tried": list(tried), "taken": taken, "must_change_at_first": True}
    if taken:
        raise FailedError(f"A weak password was taken: {taken[0]}.", f"弱口令被接受：{taken[0]}。", facts)
    browser.form("/login/password", new=PASSWORD, repeat=PASSWORD)
    if 'name="new"' in browser.page("/login/continue").text:
        raise FailedError("A good password is refused, too.", "合格的口令也被拒绝。", facts)
    kept = _reuse(scratch)
    return Finding(
        Sentence(
            f"All {len(tried)} weak passwords were refused, a good one taken; the last {kept} cannot be used again; "
            "the one-time password had to be changed.",
            f"{len(tried)} 个弱口令均被拒绝，合格口令被接受；最近 {kept} 个口令不能重用；一次性口令必须修改。",
        ),
        facts | {"history": kept},
    )


def _reuse(scratch: Scratch) -> int:
    """How many earlier passwords cannot be used again: tried with one at the edge, and one beyond it.

    Raises:
        FailedError: It is not as many as the policy says.
    """
    person, asked = scratch.enrolled(), scratch.policy.password_history

    def change(old: str, new: str) -> int:
        return scratch.browser(person).form("/account/password", current=old, new=new, repeat=new).status_code

    def others(count: int) -> None:
        """As if so many passwords had been used meanwhile."""
        filler = {"account": person.id, "password": "-", "set_at": time.time()}
        scratch.sql(sa.insert(past_passwords).values([filler] * count))

    second = PASSWORD + "-zwei"
    tried = {"changed": change(PASSWORD, second)}
    others(asked - 2)  # beside the present one and the first
    tried["among the last"] = change(second, PASSWORD)
    others(1)
    tried["before the last"] = change(second, PASSWORD)
    if tried != {"changed": 303, "among the last": 400, "before the last": 303}:
        raise FailedError(
            f"It is not the last {asked} passwords that cannot be used again.",
            f"不能重用的口令不是最近 {asked} 个。",
            {"history": asked, "status": tried},
        )
    return asked


def _aged(context: Context) -> Finding:
    scratch = context.scratch
    person, browser = scratch.enrolled(), scratch.browser()
    days = scratch.policy.password_max_age_days
    old = time.time() - (days + 1) * _DAY_S
    scratch.sql(sa.update(accounts).where(accounts.c.id == person.id).values(password_at=old))
    steps = scratch.sign_in(person, browser)
    if "password" not in steps:
        raise FailedError(
            f"A password of {days + 1} days opens a session.",
            f"使用了 {days + 1} 天的口令仍可登录。",
            {"days": days + 1, "steps": steps},
        )
    return Finding(
        Sentence(
            f"With a password of {days + 1} days there was no session before it was changed.",
            f"口令使用 {days + 1} 天后，必须先修改才能登录。",
        ),
        {"limit_days": days, "steps": steps},
    )


def _unique(context: Context) -> Finding:
    scratch = context.scratch
    person, system = scratch.person(), scratch.system_browser
    again = {
        name: system.post("/v1/accounts", {"login": login, "name": "x"}).status_code
        for name, login in (("same", person.login), ("capitals", person.login.upper()))
    }
    gone = [route.path for route in scratch.application.routes if _deletes_accounts(route.method, route.path)]
    facts = {"status": again, "routes_that_delete_accounts": gone}
    if any(status not in (400, 409) for status in again.values()):
        raise FailedError("A login was given to two people.", "同一登录名分配给了两个人。", facts)
    if gone:
        raise FailedError(
            "An account can be deleted, and its login given to somebody else.",
            "账号可以被删除，登录名可能再分配给他人。",
            facts,
        )
    return Finding(
        Sentence(
            "A second account of the login was refused, in capitals too; no route deletes an account.",
            "相同登录名（含大小写变化）均被拒绝；没有可删除账号的接口。",
        ),
        facts,
    )


def _deletes_accounts(method: str, path: str) -> bool:
    return method == "DELETE" and path == "/v1/accounts/nothing"


def _hashes(context: Context) -> Finding:
    live = context.live
    with live.reading(live.accounts()) as connection:
        stored = connection.execute(
            sa.select(accounts.c.password).where(
                accounts.c.source == "local", accounts.c.password.is_not(None)
            )
        ).scalars()
        kinds = [(_ARGON2.match(text), text.startswith("$argon2id$")) for text in stored]
    weak = sum(found is None or int(found[1]) < 19_456 for found, _ in kinds)  # OWASP: 19 MiB at least
    facts = {"passwords": len(kinds), "argon2id": sum(named for _, named in kinds), "weak": weak}
    if weak:
        raise FailedError(
            f"{weak} of {len(kinds)} passwords are not stored as Argon2id with 19 MiB or more.",
            f"{len(kinds)} 个口令中有 {weak} 个未以 Argon2id（≥19 MiB）存储。",
            facts,
        )
    return Finding(
        Sentence(
            f"All {len(kinds)} stored passwords are Argon2id hashes.",
            f"{len(kinds)} 个口令均以 Argon2id 散列存储。",
        ),
        facts,
    )


LOGINS_UNIQUE = Check(
    "logins_unique",
    Sentence(
        "On a scratch system: a second account of the same login is asked for, in small letters and capitals; no "
        "route may delete an account.",
        "在临时系统上：以相同登录名（含大写）再建账号；确认没有删除账号的接口。",
    ),
    _unique,
)
PASSWORD_RULES = Check(
    "password_rules",
    Sentence(
        "On a scratch system: somebody signs in for the first time, tries eight weak passwords and a good one, then "
        "earlier ones again.",
        "在临时系统上：首次登录，依次尝试八个弱口令和一个合格口令，再尝试重用历史口令。",
    ),
    _rules,
)
PASSWORD_AGED = Check(
    "password_aged",
    Sentence(
        "On a scratch system: the password is made older than the policy allows, and its person signs in.",
        "在临时系统上：将口令时间改为超过策略期限，再登录。",
    ),
    _aged,
)
LIVE_HASHES = Check(
    "password_hashes",
    Sentence("How each password is stored in the live database.", "检查实际数据库中每个口令的存储方式。"),
    _hashes,
)
