"""The pages on which one signs in: login and password, second factor, new password, enrolment, and out again."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from vlpro.errors import ForbiddenError, VlproError
from vlpro.gateway import cookies
from vlpro.gateway.errors import from_status
from vlpro.gateway.errors import response as refusal_response
from vlpro.gateway.forms import address_of, read_credential, read_form, read_json
from vlpro.gateway.guard import safe_path
from vlpro.gateway.pages.render import assets
from vlpro.gateway.pages.words import Words, words_of
from vlpro.identity.directories.oidc import OidcProvider, OidcRequest
from vlpro.identity.service import Identity
from vlpro.identity.sign_in import Begun, Refusal, RefusedError, Step

__all__ = ["sign_in_routes"]

log = logging.getLogger(__name__)

_CONTINUE = "/login/continue"
_SETTLE_S = 0.5
_OIDC_PLACE = "cookie.oidc"
_OIDC_LIFETIME_S = 600


def sign_in_routes(
    identity: Identity, oidc: OidcProvider | None, public_url: str, oidc_label: str = ""
) -> list[Route]:
    """All routes below ``/login``.

    Args:
        identity: The accounts.
        oidc: The company's OpenID provider; None: there is none.
        public_url: Where people find the service.
        oidc_label: What the provider is called.
    """
    pages = _SignInPages(identity, oidc, public_url, oidc_label)
    steps = ("continue", "code", "enrol", "password", "recovery-codes")
    return [
        *assets(),
        Route("/login", pages.login, methods=["GET"]),
        Route("/login", pages.begin, methods=["POST"]),
        *(Route(f"/login/{step}", pages.go_on, methods=["GET"]) for step in steps),
        Route("/login/code", pages.code, methods=["POST"]),
        Route("/login/enrol", pages.enrol, methods=["POST"]),
        Route("/login/password", pages.password, methods=["POST"]),
        Route("/login/recovery-codes", pages.codes_kept, methods=["POST"]),
        Route("/login/cancel", pages.cancel, methods=["POST"]),
        Route("/login/passkey/options", pages.passkey_options, methods=["POST"]),
        Route("/login/passkey", pages.passkey, methods=["POST"]),
        Route("/login/passkey/register/options", pages.register_options, methods=["POST"]),
        Route("/login/passkey/register", pages.register, methods=["POST"]),
        Route("/login/oidc", pages.to_provider, methods=["GET"]),
        Route("/login/oidc/callback", pages.from_provider, methods=["GET"]),
        # Last: Streamlit answers every path with its page, and nobody needs a session down here.
        Route("/login/{rest:path}", pages.missing, methods=["GET"]),
    ]


class _SignInPages:
    def __init__(
        self, identity: Identity, oidc: OidcProvider | None, public_url: str, oidc_label: str
    ) -> None:
        self._identity = identity
        self._oidc = oidc
        self._oidc_label = oidc_label
        self._callback = f"{public_url}/login/oidc/callback"

    # --- login and password

    async def login(self, request: Request) -> Response:
        words = words_of(request)
        if await run_in_threadpool(self._identity.setup.is_open):
            return RedirectResponse("/setup", 303)
        ended = request.query_params.get("ended", "")
        notice = None
        if ended == "idle":
            policy = (await run_in_threadpool(self._identity.policies.current)).policy
            notice = words("ended.idle", minutes=policy.idle_minutes)
        elif ended in ("signed_out", "administrator", "over"):
            notice = words(f"ended.{ended}")
        return self._login_page(words, request.query_params.get("next", ""), notice=notice)

    async def begin(self, request: Request) -> Response:
        started = time.monotonic()
        words, form = words_of(request), await read_form(request)
        login, there = form("login"), safe_path(form("next") or "/")
        try:
            token = await run_in_threadpool(
                self._identity.sign_in.begin, login, form("password"), address_of(request), resume=there
            )
        except RefusedError as refused:
            await _settle(started)
            return self._refused(words, refused, login=login, there=there)
        except VlproError as error:
            await _settle(started)
            return self._login_page(words, there, login=login, error=words.sentence(error), status=503)
        answer = RedirectResponse(_CONTINUE, 303)
        cookies.give(answer, cookies.SIGN_IN, token)
        return answer

    def _login_page(
        self,
        words: Words,
        there: str,
        *,
        login: str = "",
        status: int = 200,
        error: str | None = None,
        notice: str | None = None,
    ) -> Response:
        return words.page(
            "login",
            status=status,
            login=login[:64],
            next="" if there in ("", "/") else safe_path(there),
            oidc=self._oidc_label if self._oidc is not None else None,
            error=error,
            notice=notice,
        )

    def _refused(self, words: Words, refused: RefusedError, *, login: str = "", there: str = "") -> Response:
        """The login page again, with what went wrong; a sign-in that was begun is over."""
        minutes = self._identity.policies.current().policy.lock_minutes
        sentence = words.refusal(refused, minutes)
        status = 403 if refused.refusal in (Refusal.NO_ROLE, Refusal.NO_ENTRY) else 401
        answer = self._login_page(words, there, login=login, error=sentence, status=status)
        cookies.clear(answer, cookies.SIGN_IN)
        return answer

    # --- the step that comes next

    async def go_on(self, request: Request) -> Response:
        words = words_of(request)
        try:
            begun = await self._begun(request)
            return await self._step(request, words, begun)
        except RefusedError as refused:
            return self._refused(words, refused)

    async def _step(
        self,
        request: Request,
        words: Words,
        begun: Begun,
        *,
        error: str | None = None,
        problems: tuple[str, ...] = (),
        method: str = "",
    ) -> Response:
        account, status = begun.account, 401 if error else 200
        match begun.step:
            case Step.SECOND_FACTOR:
                held = await run_in_threadpool(self._identity.factors.of, account.id)
                methods = [
                    *(["passkey"] if held.passkeys and self._identity.factors.passkeys_possible else []),
                    *(["totp"] if held.totp_at is not None else []),
                    *(["recovery"] if held.recovery_left else []),
                ]
                chosen = method or request.query_params.get("method", "")
                return words.page(
                    "second_factor",
                    status=status,
                    method=chosen if chosen in methods else methods[0],
                    methods=methods,
                    login=account.login,
                    error=error,
                )
            case Step.PASSWORD:
                return await self._password_page(
                    words, "aged" if begun.aged else "first", account.login, problems, error
                )
            case Step.ENROL:
                return await self._enrol_page(words, begun, error)
            case Step.RECOVERY_CODES:
                codes = await run_in_threadpool(self._identity.sign_in.recovery_codes, begun)
                return words.page("recovery_codes", codes=codes, account=account.login, error=error)
            case Step.DONE:
                return await self._finish(request, begun)

    async def _finish(self, request: Request, begun: Begun) -> Response:
        token = await run_in_threadpool(
            self._identity.sign_in.finish,
            request.cookies.get(cookies.SIGN_IN, ""),
            address_of(request),
            request.headers.get("user-agent", ""),
        )
        answer = RedirectResponse(safe_path(begun.resume), 303)
        cookies.clear(answer, cookies.SIGN_IN)
        cookies.give(answer, cookies.SESSION, token)
        return answer

    async def code(self, request: Request) -> Response:
        started = time.monotonic()
        words, form = words_of(request), await read_form(request)
        method, check = form("method"), self._identity.sign_in.code
        if method == "recovery":
            check = self._identity.sign_in.recovery_code
        try:
            begun = await self._begun(request)
            try:
                await run_in_threadpool(check, begun, form("code"))
            except RefusedError as refused:
                await _settle(started)
                if refused.refusal in (Refusal.LOCKED, Refusal.EXPIRED):
                    raise
                sentence = words.refusal(refused, 0, method=method)
                return await self._step(request, words, begun, error=sentence, method=method)
        except RefusedError as refused:
            return self._refused(words, refused)
        return RedirectResponse(_CONTINUE, 303)

    async def enrol(self, request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        try:
            begun = await self._begun(request)
            try:
                await run_in_threadpool(self._identity.sign_in.enrol_code, begun, form("code"))
            except RefusedError as refused:
                if refused.refusal is Refusal.EXPIRED:
                    raise
                return await self._step(request, words, begun, error=words.refusal(refused, 0))
        except RefusedError as refused:
            return self._refused(words, refused)
        return RedirectResponse(_CONTINUE, 303)

    async def _enrol_page(self, words: Words, begun: Begun, error: str | None) -> Response:
        factors, account = self._identity.factors, begun.account
        offer = await run_in_threadpool(factors.offer_totp, begun.place, account.id, account.login)
        return words.page(
            "enrol",
            status=401 if error else 200,
            qr=offer.qr,
            secret=offer.secret,
            account=account.login,
            allow_passkey=factors.passkeys_possible,
            error=error,
        )

    async def codes_kept(self, request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        try:
            begun = await self._begun(request)
            if begun.step is Step.RECOVERY_CODES and form("kept"):
                await run_in_threadpool(self._identity.sign_in.codes_kept, begun)
        except RefusedError as refused:
            return self._refused(words, refused)
        return RedirectResponse(_CONTINUE, 303)

    async def cancel(self, request: Request) -> Response:
        await run_in_threadpool(self._identity.sign_in.cancel, request.cookies.get(cookies.SIGN_IN, ""))
        answer = RedirectResponse("/login", 303)
        cookies.clear(answer, cookies.SIGN_IN)
        return answer

    # --- a new password

    async def password(self, request: Request) -> Response:
        words, form = words_of(request), await read_form(request)
        try:
            begun = await self._begun(request)
            if form("new") != form("repeat"):
                return await self._step(request, words, begun, error=words("error.passwords_differ"))
            found = await run_in_threadpool(self._identity.sign_in.new_password, begun, form("new"))
        except RefusedError as refused:
            return self._refused(words, refused)
        if found:
            return await self._step(request, words, begun, problems=words.problems(found))
        return RedirectResponse(_CONTINUE, 303)

    async def _password_page(
        self, words: Words, reason: str, login: str, problems: tuple[str, ...], error: str | None
    ) -> HTMLResponse:
        policy = (await run_in_threadpool(self._identity.policies.current)).policy
        return words.page(
            "password",
            status=400 if problems or error else 200,
            reason=reason,
            ask_current=False,
            rules=words.rules(policy),
            problems=problems,
            min_length=policy.password_min_length,
            login=login,
            error=error,
        )

    # --- passkeys

    async def passkey_options(self, request: Request) -> Response:
        async def options(begun: Begun) -> Response:
            made = await run_in_threadpool(
                self._identity.factors.authentication_options, begun.place, begun.account.id
            )
            return Response(made, media_type="application/json")

        return await self._scripted(request, options, Step.SECOND_FACTOR)

    async def passkey(self, request: Request) -> Response:
        async def prove(begun: Begun) -> Response:
            await run_in_threadpool(self._identity.sign_in.passkey, begun, await read_credential(request))
            return JSONResponse({"next": _CONTINUE})

        return await self._scripted(request, prove, Step.SECOND_FACTOR)

    async def register_options(self, request: Request) -> Response:
        async def options(begun: Begun) -> Response:
            account = begun.account
            made = await run_in_threadpool(
                self._identity.factors.registration_options,
                begun.place,
                account.id,
                account.login,
                account.name,
            )
            return Response(made, media_type="application/json")

        return await self._scripted(request, options, Step.ENROL)

    async def register(self, request: Request) -> Response:
        async def keep(begun: Begun) -> Response:
            name = str((await read_json(request)).get("name", ""))
            await run_in_threadpool(
                self._identity.sign_in.enrol_passkey, begun, await read_credential(request), name
            )
            return JSONResponse({"next": _CONTINUE})

        return await self._scripted(request, keep, Step.ENROL)

    async def _scripted(
        self, request: Request, work: Callable[[Begun], Awaitable[Response]], step: Step
    ) -> Response:
        """What a script of ours asks for; where the sign-in is over, it is told where to go."""
        try:
            return await work(await self._begun(request, step))
        except RefusedError as refused:
            if refused.refusal is Refusal.PASSKEY:
                return refusal_response(
                    ForbiddenError(
                        words_of(request, "en")("error.passkey_refused"),
                        zh=words_of(request, "zh")("error.passkey_refused"),
                        code="passkey_refused",
                    )
                )
            return JSONResponse({"next": _CONTINUE}, 401)
        except VlproError as error:
            return refusal_response(error)

    # --- the company's own sign-in

    async def to_provider(self, request: Request) -> Response:
        words = words_of(request)
        if self._oidc is None:
            return self._login_page(words, "", status=404)
        try:
            asked = await self._oidc.begin(self._callback)
        except VlproError as error:
            return self._login_page(words, "", error=words.sentence(error), status=503)
        kept = {
            "url": asked.url,
            "state": asked.state,
            "nonce": asked.nonce,
            "verifier": asked.verifier,
            "next": safe_path(request.query_params.get("next", "/")),
            "until": time.time() + _OIDC_LIFETIME_S,
        }
        sealed = self._identity.sealer.seal(json.dumps(kept).encode(), _OIDC_PLACE)
        answer = RedirectResponse(asked.url, 303, {"cache-control": "no-store"})
        # Lax: the browser comes back from the provider's site. It opens nothing by itself.
        cookies.give(answer, cookies.OIDC, base64.urlsafe_b64encode(sealed).decode(), lax=True)
        return answer

    async def from_provider(self, request: Request) -> Response:
        words, query, oidc = words_of(request), request.query_params, self._oidc
        if oidc is None:
            return self._login_page(words, "", status=404)
        try:
            kept = self._opened(request.cookies.get(cookies.OIDC, ""))
            asked = OidcRequest(
                url=kept["url"], state=kept["state"], nonce=kept["nonce"], verifier=kept["verifier"]
            )
            person = await oidc.finish(
                self._callback, asked, query.get("code", ""), query.get("state", ""), query.get("iss")
            )
            token = await run_in_threadpool(
                self._identity.sign_in.begin_from_directory, person, address_of(request), resume=kept["next"]
            )
        except RefusedError as refused:
            answer = self._refused(words, refused)
        except VlproError:
            answer = self._login_page(words, "", error=words("error.oidc"), status=401)
        else:
            # The strict cookie is not sent with a redirect that began elsewhere, so this page begins a new one.
            answer = HTMLResponse(
                f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>Qwen3-VL-4B Pro</title>'
                f'<meta http-equiv="refresh" content="0;url={_CONTINUE}"></head><body></body></html>',
                headers={"cache-control": "no-store"},
            )
            cookies.give(answer, cookies.SIGN_IN, token)
        cookies.clear(answer, cookies.OIDC)
        return answer

    def _opened(self, cookie: str) -> dict[str, Any]:
        try:
            sealed = base64.urlsafe_b64decode(cookie)
            kept: dict[str, Any] = json.loads(self._identity.sealer.open(sealed, _OIDC_PLACE))
        except (ValueError, VlproError):
            raise RefusedError(Refusal.EXPIRED) from None
        if kept["until"] < time.time():
            raise RefusedError(Refusal.EXPIRED)
        return kept

    # ---

    async def missing(self, request: Request) -> Response:
        return refusal_response(from_status(404, request.method, request.url.path))

    async def _begun(self, request: Request, step: Step | None = None) -> Begun:
        """The sign-in on its way; ``step``: which must be its next."""
        token = request.cookies.get(cookies.SIGN_IN, "")
        begun = await run_in_threadpool(self._identity.sign_in.state, token, address_of(request))
        if step is not None and begun.step is not step:
            raise RefusedError(Refusal.EXPIRED)
        return begun


async def _settle(started: float) -> None:
    """Answer at a whole half second: how long a check took tells nothing of why it failed."""
    passed = time.monotonic() - started
    await asyncio.sleep(_SETTLE_S - passed % _SETTLE_S)
