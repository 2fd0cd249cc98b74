"""A provider of OpenID Connect: it signs the person in by itself, we believe what it signed.

Authorization code with PKCE. The browser carries a code; the token comes straight from the provider, over our own
connection. Nothing that the provider says reaches the person: reasons go to the log, without tokens and secrets.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

import httpx

from vlpro.errors import ConfigError, ForbiddenError, VlproError
from vlpro.identity.directories.interface import DirectoryPerson, person, unavailable
from vlpro.identity.directories.options import OidcOptions, is_loopback
from vlpro.logs import safe_words
from vlpro.sealing import outside

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

__all__ = ["OidcProvider", "OidcRequest", "refused"]

log = logging.getLogger(__name__)

_KEEP_S = 3600.0
_MOST_BYTES = 1_000_000
_LONGEST_CODE = 4096
_LONGEST_URL = 2000
_OUR_FAULT = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})


@dataclass(frozen=True, slots=True)
class OidcRequest:
    """One sign-in that was begun. To be kept on our side, or sealed in a cookie, until the person comes back.

    Attributes:
        url: Where the person's browser goes.
        state: What the browser must bring back.
        nonce: What the token must hold.
        verifier: What shows the provider that whoever brings the code is who began.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Provider:
    """What its discovery document says."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    until: float


class OidcProvider:
    """Signs people in with one provider.

    Args:
        options: How it is reached and read.
        clock: Seconds since 1970.

    Raises:
        ConfigError: Its packages are not installed, or the file of authorities cannot be used.
    """

    name = "oidc"

    def __init__(self, options: OidcOptions, *, clock: Callable[[], float] = time.time) -> None:
        self._rules = _rules()
        self._options = options
        self._clock = clock
        self._plain = urlsplit(options.issuer).scheme == "http"
        # Where TLS is not used nobody is trusted, which spares reading the system's authorities.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._plain else _trusting(options.ca)
        self._provider: _Provider | None = None
        self._keys: KeySet | None = None
        self._keys_until = 0.0

    async def begin(self, redirect_uri: str) -> OidcRequest:
        """Begin a sign-in.

        Args:
            redirect_uri: Where the provider sends the browser back to; registered there.

        Raises:
            DirectoryUnavailableError: The provider does not answer, or answers nonsense.
        """
        async with self._step() as http:
            provider = await self._discover(http)
            state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
            url = self._rules.authorization_url(
                provider.authorization_endpoint,
                client_id=self._options.client_id,
                redirect_uri=redirect_uri,
                scopes=self._options.scopes,
                state=state,
                nonce=nonce,
                verifier=verifier,
            )
        return OidcRequest(url, state, nonce, verifier)

    async def finish(
        self, redirect_uri: str, request: OidcRequest, code: str, state: str, iss: str | None = None
    ) -> DirectoryPerson:
        """Tell who came back. A request may be finished once: whoever calls this forgets it first.

        Args:
            redirect_uri: The same as at the beginning.
            request: What was begun in this browser.
            code: As the browser brought it.
            state: As the browser brought it.
            iss: As the browser brought it, if it did (RFC 9207).

        Raises:
            ForbiddenError: With code ``sign_in_refused``: what came is not to be believed.
            DirectoryUnavailableError: The provider does not answer, or answers nonsense.
        """
        if not request.state or not hmac.compare_digest(_bytes(state), _bytes(request.state)):
            raise refused("another state than the one that was begun with")
        if not 0 < len(code) <= _LONGEST_CODE:
            raise refused("a code of senseless length")
        async with self._step() as http:
            provider = await self._discover(http)
            # Where several providers share one address here, this tells a mix-up (RFC 9207).
            if (iss is not None or provider.names_itself) and iss != self._options.issuer:
                raise refused("the answer comes from another issuer, or does not tell from which")
            tokens = await self._exchange(http, provider, redirect_uri, request, code)
            claims = await self._believe(http, provider, request, tokens)
        return self._person(claims)

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[httpx.AsyncClient]:
        """Connections for one step, which ends in time and with errors of ours only."""
        transport = outside.async_transport(self._tls)
        try:
            async with (
                asyncio.timeout(self._options.timeout_s),
                httpx.AsyncClient(
                    transport=transport,
                    trust_env=False,  # no proxy of the environment, no .netrc
                    follow_redirects=False,
                    timeout=self._options.timeout_s,
                    headers={"accept": "application/json", "accept-encoding": "identity"},
                ) as http,
            ):
                yield http
        except VlproError:
            raise
        except Exception as error:
            usual = isinstance(error, TimeoutError | httpx.HTTPError | OSError | ValueError)
            said = safe_words(error)
            if not isinstance(error, httpx.HTTPError):  # ours, and those of what reads its answers
                said = f"{type(error).__name__}: {ascii(str(error))[:300]}"
            log.warning("directory oidc: %s", said, exc_info=not usual)
            raise unavailable() from error

    async def _discover(self, http: httpx.AsyncClient) -> _Provider:
        if self._provider is not None and time.monotonic() < self._provider.until:
            return self._provider
        url = self._options.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = await self._get(http, url)
        if document.get("issuer") != self._options.issuer:
            raise ValueError("the provider calls itself otherwise than setting oidc: issuer")
        self._provider = _Provider(
            self._endpoint(document, "authorization_endpoint"),
            self._endpoint(document, "token_endpoint"),
            self._endpoint(document, "jwks_uri"),
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
            until=time.monotonic() + _KEEP_S,
        )
        return self._provider

    def _endpoint(self, document: Mapping[str, object], name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or len(url) > _LONGEST_URL:
            raise ValueError(f"the provider's {name} is missing or too long")
        parts = urlsplit(url)
        secure = parts.scheme == "https" or (
            self._plain and parts.scheme == "http" and is_loopback(parts.hostname or "")
        )
        if not secure or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError(f"the provider's {name} is no https URL")
        return url

    async def _exchange(
        self, http: httpx.AsyncClient, provider: _Provider, redirect_uri: str, request: OidcRequest, code: str
    ) -> dict[str, Any]:
        """The tokens for a code."""
        options = self._options
        secret = options.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": request.verifier,
        }
        headers = {}
        if options.client_auth == "client_secret_basic":
            # Each part encoded as in a form first (RFC 6749, 2.3.1).
            pair = f"{quote_plus(options.client_id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": options.client_id, "client_secret": secret}
        status, body = await _asked(http, "POST", provider.token_endpoint, data=form, headers=headers)
        if status == 200:
            return _object(body)
        if status == 400:
            error = str(_object(body).get("error", ""))[:100]
            if error not in _OUR_FAULT:
                raise refused(f"the provider does not take the code: {error}")
            raise ValueError(f"the provider does not take our request: {error}")
        raise ValueError(f"the provider's token endpoint answers {status}")

    async def _believe(
        self, http: httpx.AsyncClient, provider: _Provider, request: OidcRequest, tokens: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The claims of the ID token, after a look at new keys where its key is unknown."""
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str):
            raise refused("the provider gives no ID token")
        keys = self._keys if time.monotonic() < self._keys_until else None
        fetched = keys is None
        while True:
            keys = keys or await self._fetch_keys(http, provider)
            try:
                claims: dict[str, Any] = self._rules.verified(
                    id_token,
                    keys,
                    issuer=self._options.issuer,
                    client_id=self._options.client_id,
                    nonce=request.nonce,
                    access_token=access_token if isinstance(access_token, str) else None,
                    algorithms=self._options.algorithms,
                    now=int(self._clock()),
                )
            except self._rules.UnknownKeyError as error:
                if fetched:
                    raise refused(str(error)) from error
                keys, fetched = None, True
            except self._rules.InvalidTokenError as error:
                raise refused(str(error)) from error
            else:
                return claims

    async def _fetch_keys(self, http: httpx.AsyncClient, provider: _Provider) -> KeySet:
        keys: KeySet = self._rules.key_set(await self._get(http, provider.jwks_uri))
        self._keys, self._keys_until = keys, time.monotonic() + _KEEP_S
        return keys

    def _person(self, claims: Mapping[str, Any]) -> DirectoryPerson:
        options = self._options
        login = _claim(claims, options.login_claim)
        if not isinstance(login, str):
            raise refused(f"the token has no claim {options.login_claim} (login_claim)")
        groups = _claim(claims, options.groups_claim)
        if groups is None and "_claim_names" in claims:
            log.warning("directory oidc: the provider leaves out the groups of somebody who has too many")
        listed = [groups] if isinstance(groups, str) else groups or []
        if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
            raise refused(f"claim {options.groups_claim} (groups_claim) is no list of texts")
        try:
            return person(
                "oidc",
                subject=f"{options.issuer}|{claims['sub']}",
                login=login,
                name=_text(_claim(claims, options.name_claim)),
                department=_text(_claim(claims, options.department_claim)),
                groups=listed,
            )
        except ValueError as error:
            raise refused(str(error)) from error

    async def _get(self, http: httpx.AsyncClient, url: str) -> dict[str, Any]:
        status, body = await _asked(http, "GET", url)
        if status != 200:
            raise ValueError(f"the provider answers {status}")
        return _object(body)


def refused(reason: str) -> ForbiddenError:
    """What the person is told where a sign-in is refused; also for an ``error`` that the browser brings back.

    Args:
        reason: For the log; holds no token, no secret and nothing of the person.
    """
    log.warning("directory oidc: sign-in refused: %s", ascii(reason)[:300])
    return ForbiddenError(
        "The sign-in was refused. Begin again; if it happens again, tell your administrator.",
        zh="登录被拒绝。请重新开始登录；若再次出现，请联系管理员。",
        code="sign_in_refused",
    )


async def _asked(http: httpx.AsyncClient, method: str, url: str, **more: Any) -> tuple[int, bytes]:
    """Status and body of an answer of bounded size."""
    body = bytearray()
    async with http.stream(method, url, **more) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError("the provider compresses its answer, though it was asked not to")
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > _MOST_BYTES:
                raise ValueError(f"the provider sends more than {_MOST_BYTES} bytes")
    return response.status_code, bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    raise ValueError("the provider does not answer with a JSON object")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name; where there is none, by its way into objects: ``realm_access.roles``."""
    here: Any = claims
    if name in claims:
        return claims[name]
    for part in name.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def _text(value: object) -> str:
    """A text, or the first of a list of them."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _rules() -> ModuleType:
    try:
        from vlpro.identity.directories import id_token  # noqa: PLC0415 - needs an extra, which need not be there
    except ImportError as error:
        raise ConfigError(
            "Setting oidc needs the packages Authlib and joserfc, which are not installed: run pip install "
            '"vlpro[oidc]".',
            zh='设置 oidc 需要 Authlib 和 joserfc，但尚未安装：请运行 pip install "vlpro[oidc]"。',
            param="oidc",
        ) from error
    return id_token


def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"Setting oidc: ca: {ca} cannot be read as a PEM file of certificates ({error.strerror or error}).",
            zh=f"设置 oidc：无法将 ca 文件 {ca} 读取为 PEM 证书文件。",
            param="oidc.ca",
        ) from error
