"""``/setup``: the first start, once."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vlpro.errors import BadRequestError, VlproError
from vlpro.gateway.forms import Field, read_form
from vlpro.gateway.pages.words import Words, words_of
from vlpro.identity.accounts import checked_login
from vlpro.identity.passwords import PasswordProblem, problems
from vlpro.identity.service import Identity
from vlpro.identity.setup import FirstAdministrator

__all__ = ["setup_routes"]

log = logging.getLogger(__name__)

_KEPT = ("security_login", "security_name", "system_login", "system_name")


def setup_routes(identity: Identity) -> list[Route]:
    """The page on which the first two administrators are made."""

    async def show(request: Request) -> Response:
        words = words_of(request)
        if not await run_in_threadpool(identity.setup.is_open):
            return _done(words, 404)
        return words.page("setup")

    async def make(request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        if not await run_in_threadpool(identity.setup.is_open):
            return _done(words, 404)
        found = await run_in_threadpool(_problems, identity, words, form)
        if not found:
            try:
                await run_in_threadpool(
                    identity.setup.complete,
                    form("secret"),
                    _person(form, "security"),
                    _person(form, "system"),
                )
            except VlproError as error:
                log.warning("the first start was refused: %s", error.code)
                found = {"secret": words("error.setup_secret")}
        if found:
            values = {name: form(name)[:64] for name in _KEPT}
            return words.page("setup", status=400, values=values, problems=found)
        log.warning("the first two administrators were made")
        return words.page(
            "message",
            title=words("message.setup.title"),
            body=words("message.setup.body"),
            link=("/login", words("message.to_login")),
        )

    return [Route("/setup", show, methods=["GET"]), Route("/setup", make, methods=["POST"])]


def _done(words: Words, status: int) -> Response:
    return words.page(
        "message",
        status=status,
        title=words("message.missing.title"),
        body=words("error.setup_done"),
        link=("/login", words("message.to_login")),
    )


def _problems(identity: Identity, words: Words, form: Field) -> dict[str, str]:
    """What is wrong with each field; with the secret first, so that nobody else learns anything here."""
    if not identity.setup.check(form("secret")):
        log.warning("the first start was refused: the secret is wrong or has expired")
        return {"secret": words("error.setup_secret")}
    policy = identity.policies.current().policy
    found: dict[str, str] = {}
    for who in ("security", "system"):
        if not form(f"{who}_name").strip():
            found[f"{who}_name"] = words("problem.required")
        try:
            checked_login(form(f"{who}_login"))
        except BadRequestError:
            found[f"{who}_login"] = words("problem.login_form")
        about = (form(f"{who}_login"), form(f"{who}_name"), "qwen", "vlpro")
        broken: list[PasswordProblem] = problems(form(f"{who}_password"), policy, about)
        if broken:
            found[f"{who}_password"] = " ".join(words.problems(broken))
    if form("security_login").strip().lower() == form("system_login").strip().lower():
        found.setdefault("system_login", words("problem.login_same"))
    return found


def _person(form: Field, who: str) -> FirstAdministrator:
    return FirstAdministrator(
        checked_login(form(f"{who}_login")), form(f"{who}_name").strip(), form(f"{who}_password")
    )
