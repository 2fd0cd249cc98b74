"""``vlpro user``: accounts, for who has the machine in hands."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vlpro.commands.terminal import Json, answer, print_json, print_table, t

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vlpro.identity.accounts import Account
    from vlpro.identity.service import Identity

__all__ = ["app"]

app = typer.Typer(help=t("账号（在服务器上，供应急使用）", "accounts, at the machine, for emergencies"))


@app.command(name="list", help=t("列出账号", "list the accounts"))
def list_(*, json: Json = False) -> None:
    found: list[Account] = []
    with _at_machine() as identity:
        while page := identity.accounts.find(after=found[-1].login if found else ""):
            found += page
    if json:
        print_json({"accounts": [_as_json(account) for account in found]})
        return
    print_table(
        [t("登录名", "Login"), t("角色", "Role"), t("来源", "Source"), t("状态", "State"), t("姓名", "Name")],
        [
            (
                one.login,
                one.role or "-",
                one.source,
                one.disabled or ("-" if one.signed_in_at is None else "active"),
                one.name,
            )
            for one in found
        ],
    )


@app.command(
    help=t(
        "在还没有账号时，给出创建首批管理员的一次性密钥",
        "while there is no account: a one-time secret to make the first administrators",
    )
)
def setup(*, json: Json = False) -> None:
    from vlpro import config
    from vlpro.errors import ConflictError
    from vlpro.identity.setup import LIFETIME_S

    with _at_machine() as identity:
        secret, url = identity.setup.open(), f"{config.load().public_url}/setup"
    if secret is None:
        raise ConflictError(
            "There are accounts already. Where an administrator cannot sign in: vlpro user reset LOGIN.",
            zh="已有账号。管理员无法登录时，请运行 vlpro user reset 登录名。",
        )
    answer(
        {"url": url, "one_time_secret": secret, "seconds": LIFETIME_S},
        t(
            f"{url}\n一次性密钥（1 小时内有效，之前给出的作废）：{secret}",
            f"{url}\nOne-time secret, good for an hour, in place of any earlier one: {secret}",
        ),
        json=json,
    )


@app.command(
    help=t(
        "给账号一个一次性密码，并清除第二因素",
        "give an account a one-time password and remove its second factors",
    )
)
def reset(
    *,
    login: Annotated[str, typer.Argument(metavar="LOGIN", help=t("登录名", "the account's"))],
    json: Json = False,
) -> None:
    with _at_machine() as identity:
        identity.accounts.reset_factors_at_machine(login)
        password = identity.accounts.reset_password_at_machine(login)
    answer(
        {"login": login, "one_time_password": password},
        t(
            f"{login} 的一次性密码：{password}\n首次登录时更改密码并重新设置第二因素。",
            f"One-time password of {login}: {password}\n"
            "At the next sign-in the person changes it and sets up a second factor again.",
        ),
        json=json,
    )


def _as_json(account: Account) -> dict[str, str | bool | None]:
    return {
        "login": account.login,
        "name": account.name,
        "role": account.role,
        "source": account.source,
        "disabled": account.disabled,
        "signed_in": account.signed_in_at is not None,
    }


@contextmanager
def _at_machine() -> Iterator[Identity]:
    """The accounts; what is done is recorded in the system user's name."""
    import getpass

    from vlpro import config
    from vlpro.audit.record import Actor
    from vlpro.audit.recorder import ACTOR
    from vlpro.errors import ConfigError
    from vlpro.gateway.profile import identity_of, recorder_of, sealer_of

    settings = config.load()
    if settings.profile == "local":
        raise ConfigError(
            "Profile local has no accounts. Set VLPRO_PROFILE=mlps3.",
            zh="local 模式没有账号。请设置 VLPRO_PROFILE=mlps3。",
            param="profile",
        )
    recorder = recorder_of(settings, sealer_of(settings))
    identity = identity_of(settings, recorder)
    assert identity is not None  # noqa: S101 - only profile local has none
    recorder.audit.start()
    ACTOR.set(Actor(login=getpass.getuser(), role="machine"))
    try:
        yield identity
    finally:
        recorder.audit.stop()
        recorder.audit.database.close()
        identity.database.close()
