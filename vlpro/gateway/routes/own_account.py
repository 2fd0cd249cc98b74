"""``/account/…``: pages for one's own password and second factors, and the way out. They need a session."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from vlpro.errors import ForbiddenError, VlproError
from vlpro.gateway import cookies
from vlpro.gateway.deps import principal_of
from vlpro.gateway.errors import response as refusal_response
from vlpro.gateway.forms import address_of, read_credential, read_form, read_json
from vlpro.gateway.pages.words import Words, words_of
from vlpro.identity.accounts import Account
from vlpro.identity.factors import Place
from vlpro.identity.permissions import Permission
from vlpro.identity.service import Identity
from vlpro.identity.sign_in import Refusal, RefusedError, needs_factor
from vlpro.identity.tables import sessions

__all__ = ["own_account_routes"]

_FACTORS = "/account/factors"
_NOTICES = ("totp_saved", "passkey_added", "passkey_removed", "codes_saved", "password_changed")


def own_account_routes(identity: Identity) -> list[Route]:
    """All routes below ``/account``."""
    pages = _OwnPages(identity)
    return [
        Route("/account/password", pages.password_page, methods=["GET"]),
        Route("/account/password", pages.password, methods=["POST"]),
        Route(_FACTORS, pages.factors_page, methods=["GET"]),
        Route(f"{_FACTORS}/totp", pages.to_factors, methods=["GET"]),
        Route(f"{_FACTORS}/totp", pages.totp, methods=["POST"]),
        Route(f"{_FACTORS}/totp/confirm", pages.to_factors, methods=["GET"]),
        Route(f"{_FACTORS}/totp/confirm", pages.totp_confirm, methods=["POST"]),
        Route(f"{_FACTORS}/passkeys/options", pages.passkey_options, methods=["POST"]),
        Route(f"{_FACTORS}/passkeys", pages.passkey, methods=["POST"]),
        Route(f"{_FACTORS}/passkeys/{{passkey}}/remove", pages.to_factors, methods=["GET"]),
        Route(f"{_FACTORS}/passkeys/{{passkey}}/remove", pages.remove_passkey, methods=["POST"]),
        Route(f"{_FACTORS}/recovery-codes", pages.to_factors, methods=["GET"]),
        Route(f"{_FACTORS}/recovery-codes", pages.recovery_codes, methods=["POST"]),
        Route(f"{_FACTORS}/recovery-codes/kept", pages.codes_kept, methods=["POST"]),
        Route("/account/sign-out", pages.sign_out, methods=["POST"]),
    ]


class _OwnPages:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    # --- password

    async def password_page(self, request: Request) -> Response:
        account, _ = await self._who(request)
        if account.source != "local":
            return await self._factors(words_of(request), account)
        return self._password(words_of(request), account)

    async def password(self, request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        account, place = await self._who(request)
        if account.source != "local":  # the directory keeps it
            return RedirectResponse(_FACTORS, 303)
        if form("new") != form("repeat"):
            return self._password(words, account, error=words("error.passwords_differ"))
        try:
            await self._ask_again(request, account, form("current"))
        except RefusedError as refused:
            return self._password(words, account, error=self._sentence(words, refused))
        found = await run_in_threadpool(self._identity.sign_in.change_password, account, form("new"))
        if found:
            return self._password(words, account, problems=words.problems(found))
        await run_in_threadpool(self._identity.sessions.end_all, account.id, but=str(place.key))
        return RedirectResponse(f"{_FACTORS}?saved=password_changed", 303)

    def _password(
        self, words: Words, account: Account, *, problems: tuple[str, ...] = (), error: str | None = None
    ) -> Response:
        policy = self._identity.policies.current().policy
        return words.page(
            "password",
            status=400 if problems or error else 200,
            reason="chosen",
            ask_current=True,
            rules=words.rules(policy),
            problems=problems,
            min_length=policy.password_min_length,
            login=account.login,
            error=error,
            action="/account/password",
        )

    # --- second factors

    async def factors_page(self, request: Request) -> Response:
        account, _ = await self._who(request)
        words, saved = words_of(request), request.query_params.get("saved", "")
        return await self._factors(words, account, saved=saved if saved in _NOTICES else "")

    async def to_factors(self, request: Request) -> Response:
        """Where a reload, or the link to the other language, leads after a form of :meth:`_factors`."""
        language = request.query_params.get("lang", "")
        return RedirectResponse(_FACTORS + (f"?lang={language}" if language in ("zh", "en") else ""), 303)

    async def _factors(
        self, words: Words, account: Account, *, saved: str = "", error: str | None = None
    ) -> Response:
        held = await run_in_threadpool(self._identity.factors.of, account.id)
        return words.page(
            "factors",
            status=400 if error else 200,
            totp={"created": _day(held.totp_at)} if held.totp_at is not None else None,
            passkeys=[
                {"id": p.id, "name": p.name, "created": _day(p.created_at), "used": _day(p.used_at)}
                for p in held.passkeys
            ],
            recovery_left=held.recovery_left,
            ask_password=account.source != "oidc",
            login=account.login,
            notice=words(f"notice.{saved}") if saved else None,
            error=error,
        )

    async def totp(self, request: Request) -> Response:
        async def offer(words: Words, account: Account, place: Place) -> Response:
            return await self._enrol(words, account, place)

        return await self._changed(request, offer)

    async def totp_confirm(self, request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        account, place = await self._who(request)
        result = await run_in_threadpool(self._identity.factors.accept_totp, place, account.id, form("code"))
        if result.step is not None:
            return RedirectResponse(f"{_FACTORS}?saved=totp_saved", 303)
        refused = (
            RefusedError(Refusal.DRIFT, result.drift_s) if result.drift_s else RefusedError(Refusal.CODE)
        )
        return await self._enrol(words, account, place, error=words.refusal(refused, 0))

    async def _enrol(
        self, words: Words, account: Account, place: Place, *, error: str | None = None
    ) -> Response:
        offer = await run_in_threadpool(self._identity.factors.offer_totp, place, account.id, account.login)
        return words.page(
            "enrol",
            status=400 if error else 200,
            qr=offer.qr,
            secret=offer.secret,
            account=account.login,
            allow_passkey=False,
            replacing=True,
            action=f"{_FACTORS}/totp/confirm",
            error=error,
        )

    async def remove_passkey(self, request: Request) -> Response:
        async def remove(words: Words, account: Account, _: Place) -> Response:
            policy = self._identity.policies.current().policy
            try:
                await run_in_threadpool(
                    self._identity.factors.remove_passkey,
                    account.id,
                    request.path_params["passkey"],
                    needed=needs_factor(account, policy),
                )
            except VlproError as error:
                return await self._factors(words, account, error=words.sentence(error))
            return RedirectResponse(f"{_FACTORS}?saved=passkey_removed", 303)

        return await self._changed(request, remove)

    async def recovery_codes(self, request: Request) -> Response:
        async def make(words: Words, account: Account, _: Place) -> Response:
            codes = await run_in_threadpool(self._identity.factors.new_recovery_codes, account.id)
            return words.page(
                "recovery_codes",
                codes=codes,
                account=account.login,
                action=f"{_FACTORS}/recovery-codes/kept",
            )

        return await self._changed(request, make)

    async def codes_kept(self, _: Request) -> Response:
        return RedirectResponse(f"{_FACTORS}?saved=codes_saved", 303)

    async def _changed(
        self, request: Request, work: Callable[[Words, Account, Place], Awaitable[Response]]
    ) -> Response:
        """Do something that takes the password."""
        words, form = words_of(request), await read_form(request)
        account, place = await self._who(request)
        try:
            await self._ask_again(request, account, form("password"))
        except RefusedError as refused:
            return await self._factors(words, account, error=self._sentence(words, refused))
        return await work(words, account, place)

    # --- passkeys, by script

    async def passkey_options(self, request: Request) -> Response:
        try:
            account, place = await self._who(request)
            await self._ask_again(request, account, str((await read_json(request)).get("password", "")))
            made = await run_in_threadpool(
                self._identity.factors.registration_options, place, account.id, account.login, account.name
            )
        except RefusedError as refused:
            return _refused(words_of(request, "zh"), words_of(request, "en"), refused)
        except VlproError as error:
            return refusal_response(error)
        return Response(json.dumps(json.loads(made)), media_type="application/json")

    async def passkey(self, request: Request) -> Response:
        try:
            account, place = await self._who(request)
            name = str((await read_json(request)).get("name", ""))
            # The challenge that it answers was given for the password, once.
            await run_in_threadpool(
                self._identity.factors.register, place, account.id, await read_credential(request), name
            )
        except VlproError as error:
            return refusal_response(error)
        return JSONResponse({"next": f"{_FACTORS}?saved=passkey_added"})

    # --- out

    async def sign_out(self, request: Request) -> Response:
        principal = principal_of(request)
        if principal.session is not None:
            await run_in_threadpool(self._identity.sessions.end, principal.session, principal.account)
        self._identity.authentication.forget(request.cookies.get(cookies.SESSION, ""))
        answer = RedirectResponse("/login?ended=signed_out", 303)
        cookies.clear(answer, cookies.SESSION)
        # Pictures that the browser has kept are the person's, not the next one's at this machine.
        answer.headers["clear-site-data"] = '"cache"'
        return answer

    # ---

    async def _who(self, request: Request) -> tuple[Account, Place]:
        principal = principal_of(request)
        principal.require(Permission.SELF_USE)
        account = await run_in_threadpool(self._identity.accounts.get, principal.account)
        return account, Place(sessions, principal.session or "")

    async def _ask_again(self, request: Request, account: Account, password: str) -> None:
        """The password once more; who comes from the company's OpenID provider has none here."""
        if account.source != "oidc":
            await run_in_threadpool(
                self._identity.sign_in.check_password, account, password, address_of(request)
            )

    @staticmethod
    def _sentence(words: Words, refused: RefusedError) -> str:
        if refused.refusal is Refusal.WRONG:
            return words("error.current_wrong")
        return words.refusal(refused, 0)


def _refused(zh: Words, en: Words, refused: RefusedError) -> Response:
    key = "error.current_wrong" if refused.refusal is Refusal.WRONG else "error.too_many"
    values = {} if refused.refusal is Refusal.WRONG else {"minutes": refused.value}
    return refusal_response(ForbiddenError(en(key, **values), zh=zh(key, **values), code="password_wrong"))


def _day(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
