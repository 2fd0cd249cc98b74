"""A provider of OpenID Connect on this machine, which signs everybody in as one person and can be made to cheat.

Its signatures and checks are made here, without the libraries that the product believes them by.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import socket
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "Claims", "Provider", "compact", "new_key", "provider", "rs256"]

CLIENT_ID = "vlpro: staff"
CLIENT_SECRET = "a secret: 100 % + é"  # noqa: S105 - of a provider that lives for a test
PERSON = {
    "sub": "248289761001",
    "preferred_username": "li.wenjing",
    "name": "李文静",
    "department": "放射科",
    "groups": ["radiology", "读片组"],
}

Claims = dict[str, Any]


def new_key() -> rsa.RSAPrivateKey:
    """A key to sign with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rs256(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    """How RS256 signs."""
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def compact(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JSON Web Token (RFC 7515, 7.1)."""
    parts = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    return (parts + b"." + _base64url(sign(parts))).decode()


@dataclass
class Provider:
    """What it is, what it did, and how it is made to cheat.

    Attributes:
        url: Its issuer.
        key: What it signs with.
        kid: What it calls that key.
        person: Claims of whoever signs in.
        change: Changes the claims before they are signed.
        sign: Makes the token of its claims.
        metadata: Instead of, and beside, what its discovery document says; None: left out.
        answers: Instead of its own answer, by path.
        asked: Paths that were asked for.
    """

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=new_key)
    kid: str = "first"
    person: Claims = field(default_factory=lambda: dict(PERSON))
    change: Callable[[Claims], object] = lambda _: None
    sign: Callable[[Claims], str] | None = None
    metadata: Claims = field(default_factory=dict)
    answers: dict[str, Callable[[], Response]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def become_honest(self, key: rsa.RSAPrivateKey | None = None) -> None:
        """Forget all cheating, and all that was asked for."""
        vars(self).update(vars(Provider(self.url, key or self.key)))

    def come_back(self, url: str) -> dict[str, str]:
        """Be the browser: go there, and tell what it would bring back to us."""
        answer = httpx.get(url, trust_env=False, timeout=30)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def id_token(self, claims: Claims) -> str:
        """As an honest provider signs."""
        return compact({"alg": "RS256", "kid": self.kid, "typ": "JWT"}, claims, rs256(self.key))

    def jwks(self) -> Claims:
        """Its public keys."""
        numbers = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid}
        return {"keys": [key | {"n": _number(numbers.n), "e": _number(numbers.e)}]}

    async def serve(self, request: Request) -> Response:
        """Answer."""
        path = request.url.path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]()
        match path:
            case "/.well-known/openid-configuration":
                return JSONResponse({k: v for k, v in self._document().items() if v is not None})
            case "/jwks":
                return JSONResponse(self.jwks())
            case "/authorize":
                return self._authorize(dict(request.query_params))
            case "/token" if request.method == "POST":
                return self._token(request, (await request.body()).decode())
            case _:
                return Response(status_code=404)

    def _document(self) -> Claims:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
        } | self.metadata

    def _authorize(self, query: dict[str, str]) -> Response:
        right = {"response_type": "code", "client_id": CLIENT_ID, "code_challenge_method": "S256"}
        wrong = [name for name, value in right.items() if query.get(name) != value]
        if wrong or "openid" not in query.get("scope", "").split():
            return JSONResponse({"error": "invalid_request", "wrong": wrong}, 400)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.url})
        return RedirectResponse(f"{query['redirect_uri']}?{back}", 302)

    def _token(self, request: Request, body: str) -> Response:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = b64decode(credentials).decode().partition(":")
            client = (unquote_plus(name), unquote_plus(secret))
        else:
            client = (form.get("client_id", ""), form.get("client_secret", ""))
        if client != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        query = self.codes.pop(form.get("code", ""), None)  # a code is good once
        challenge = _base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode()
        if (
            query is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != query["redirect_uri"]
            or challenge != query["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        access = secrets.token_urlsafe(16)
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = self.person | {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            "at_hash": _base64url(half).decode(),
        }
        self.change(claims)
        claims = {name: value for name, value in claims.items() if value is not None}
        token = (self.sign or self.id_token)(claims)
        return JSONResponse({"access_token": access, "token_type": "Bearer", "id_token": token})


@contextmanager
def provider(tls: Path | None = None) -> Iterator[Provider]:
    """Serve one until the block ends.

    Args:
        tls: Folder with server.pem and server.key; none: plain HTTP.
    """
    scheme = "https" if tls else "http"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Provider(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            Starlette(routes=[Route("/{path:path}", made.serve, methods=["GET", "POST"])]),
            log_level="critical",
            access_log=False,
            ws="none",
            lifespan="off",
            ssl_certfile=tls and str(tls / "server.pem"),
            ssl_keyfile=tls and str(tls / "server.key"),
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True)
        thread.start()
        for _ in range(3000):
            if server.started:
                break
            time.sleep(0.01)
        try:
            yield made
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the provider did not end"


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8)).decode()
