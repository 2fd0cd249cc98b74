"""Against a real provider on this machine, which cheats in one way a test."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Claims, Provider, compact, new_key, provider, rs256
from tests.ports import free_port
from tests.slapd import make_ca
from vlpro.errors import ConfigError, DirectoryUnavailableError, ForbiddenError
from vlpro.identity.directories.interface import DirectoryPerson
from vlpro.identity.directories.oidc import OidcProvider, OidcRequest, refused
from vlpro.identity.directories.options import OidcOptions

pytestmark = pytest.mark.anyio

BACK = "http://127.0.0.1:8501/v1/sign-in/oidc"


@pytest.fixture(scope="module")
def keys() -> list[rsa.RSAPrivateKey]:
    return [new_key(), new_key()]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture
def cheat(running: Provider, keys: list[rsa.RSAPrivateKey]) -> Provider:
    running.become_honest(keys[0])
    return running


def ours(at: Provider, **settings: Any) -> OidcProvider:
    usual = {"issuer": at.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "timeout_s": 30}
    return OidcProvider(OidcOptions.model_validate(usual | settings))


async def sign_in(at: Provider, it: OidcProvider | None = None, **brought: Any) -> DirectoryPerson:
    """The whole way; ``brought`` instead of what the browser brings back."""
    it = it or ours(at)
    request = await it.begin(BACK)
    came = at.come_back(request.url) | brought
    return await it.finish(BACK, request, came["code"], came["state"], came.get("iss"))


LI = {
    "login": "li.wenjing",
    "name": "李文静",
    "department": "放射科",
    "groups": frozenset({"radiology", "读片组"}),
}


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
async def test_a_person_signs_in(cheat: Provider, way: str) -> None:
    person = await sign_in(cheat, ours(cheat, client_auth=way))
    assert person == DirectoryPerson("oidc", f"{cheat.url}|248289761001", **LI)  # type: ignore[arg-type]


async def test_what_the_browser_is_sent_with(cheat: Provider) -> None:
    it = ours(cheat)
    first, second = await it.begin(BACK), await it.begin(BACK)
    query = parse_qs(urlsplit(first.url).query)
    assert query == {
        "response_type": ["code"],
        "client_id": [CLIENT_ID],
        "redirect_uri": [BACK],
        "scope": ["openid profile"],
        "state": [first.state],
        "nonce": [first.nonce],
        "code_challenge": query["code_challenge"],
        "code_challenge_method": ["S256"],
    }
    values = {v for request in (first, second) for v in (request.state, request.nonce, request.verifier)}
    assert len(values) == 6
    assert all(len(value) == 43 for value in values)
    assert not any(value in repr(first) for value in values)
    assert cheat.asked.count("/.well-known/openid-configuration") == 1


async def test_an_endpoint_may_have_a_query(cheat: Provider) -> None:
    cheat.metadata["authorization_endpoint"] = f"{cheat.url}/authorize?realm=a%20b"
    assert (await ours(cheat).begin(BACK)).url.startswith(f"{cheat.url}/authorize?realm=a")
    await sign_in(cheat)


async def test_claims_of_other_names(cheat: Provider) -> None:
    cheat.person |= {
        "upn": "LI@EXAMPLE.COM",
        "https://example.com/claims/unit": ["放射科", "Archive"],
        "realm_access": {"roles": ["doctor"]},
        "name": None,
    }
    person = await sign_in(
        cheat,
        ours(
            cheat,
            login_claim="upn",
            department_claim="https://example.com/claims/unit",
            groups_claim="realm_access.roles",
        ),
    )
    assert (person.login, person.name, person.department) == ("LI@EXAMPLE.COM", "LI@EXAMPLE.COM", "放射科")
    assert person.groups == {"doctor"}


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({"groups": None}, set()),
        ({"groups": []}, set()),
        ({"groups": "one"}, {"one"}),
        ({"groups": None, "_claim_names": {"groups": "src1"}}, set()),
    ],
)
async def test_groups_that_are_not_a_list(cheat: Provider, claims: Claims, groups: set[str]) -> None:
    cheat.person |= claims
    assert (await sign_in(cheat)).groups == groups


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": None},
        {"preferred_username": 7},
        {"preferred_username": "li\n"},
        {"preferred_username": "x" * 257},
        {"groups": {"admin": True}},
        {"groups": ["a", 7]},
        {"groups": [str(number) for number in range(2001)]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
    ],
    ids=str,
)
async def test_claims_that_cannot_be_taken(cheat: Provider, claims: Claims) -> None:
    cheat.person |= claims
    await is_refused(cheat)


async def is_refused(
    at: Provider, it: OidcProvider | None = None, request: OidcRequest | None = None, **brought: Any
) -> None:
    with pytest.raises(ForbiddenError) as caught:
        await sign_in(at, it, **brought)
    assert caught.value.code == "sign_in_refused"
    assert caught.value.message.startswith("The sign-in was refused.")
    assert caught.value.zh.startswith("登录被拒绝")


# What may be wrong with a token.


def now() -> int:
    """When it is asked, not when this file was read."""
    return int(time.time())


CLAIMS: dict[str, Callable[[Claims], object]] = {
    "another nonce": lambda claims: claims.update(nonce="x" * 43),
    "an empty nonce": lambda claims: claims.update(nonce=""),
    "no nonce": lambda claims: claims.pop("nonce"),
    "another issuer": lambda claims: claims.update(iss="https://evil.example.com"),
    "a longer issuer": lambda claims: claims.update(iss=claims["iss"] + "/"),
    "several issuers": lambda claims: claims.update(iss=[claims["iss"], "https://evil.example.com"]),
    "no issuer": lambda claims: claims.pop("iss"),
    "another audience": lambda claims: claims.update(aud="another"),
    "no audience": lambda claims: claims.pop("aud"),
    "an empty audience": lambda claims: claims.update(aud=[]),
    "two audiences, no authorised party": lambda claims: claims.update(aud=[CLIENT_ID, "another"]),
    "two audiences, another authorised party": lambda c: c.update(aud=[CLIENT_ID, "another"], azp="another"),
    "another authorised party": lambda claims: claims.update(azp="another"),
    "expired": lambda claims: claims.update(exp=now() - 61, iat=now() - 400),
    "never expires": lambda claims: claims.pop("exp"),
    "expires at no time": lambda claims: claims.update(exp=float("nan")),
    "expires at a text": lambda claims: claims.update(exp="tomorrow"),
    "of the future": lambda claims: claims.update(iat=now() + 400, exp=now() + 800),
    "not yet valid": lambda claims: claims.update(nbf=now() + 400),
    "of no time": lambda claims: claims.pop("iat"),
    "of another access token": lambda claims: claims.update(at_hash="x" * 22),
}


@pytest.mark.parametrize("change", CLAIMS.values(), ids=CLAIMS.keys())
async def test_a_token_with_a_wrong_claim(
    cheat: Provider, change: Callable[[Claims], object], caplog: pytest.LogCaptureFixture
) -> None:
    cheat.change = change
    await is_refused(cheat)
    assert "sign-in refused" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.update(exp=now() - 30, iat=now() - 400),
        lambda claims: claims.update(iat=now() + 30),
        lambda claims: claims.update(aud=[CLIENT_ID]),
        lambda claims: claims.update(aud=[CLIENT_ID, "another"], azp=CLIENT_ID),
        lambda claims: claims.pop("at_hash"),
    ],
    ids=["just expired", "a fast clock", "a list", "two audiences and we are the party", "no hash"],
)
async def test_a_token_that_is_right(cheat: Provider, change: Callable[[Claims], object]) -> None:
    cheat.change = change
    assert (await sign_in(cheat)).login == "li.wenjing"


def public(key: rsa.RSAPrivateKey, encoding: serialization.Encoding) -> bytes:
    return key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.digest(secret, data, hashlib.sha256)


def ps256(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return lambda data: key.sign(data, pss, hashes.SHA256())


def bare(_: bytes) -> bytes:
    return b""


Signs = Callable[[Provider, list[rsa.RSAPrivateKey], Claims], str]
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SIGNATURES: dict[str, Signs] = {
    "none": lambda _, __, claims: compact({"alg": "none"}, claims, bare),
    "None": lambda _, __, claims: compact({"alg": "None", "kid": "first"}, claims, bare),
    "no algorithm": lambda _, __, claims: compact({"kid": "first"}, claims, bare),
    "algorithm of no name": lambda _, __, claims: compact({"alg": ["RS256"], "kid": "first"}, claims, bare),
    "RS256 without a signature": lambda _, __, c: compact({"alg": "RS256", "kid": "first"}, c, bare),
    "HS256 by the public key, PEM": lambda at, _, claims: compact(
        {"alg": "HS256", "kid": "first"}, claims, hs256(public(at.key, PEM))
    ),
    "HS256 by the public key, DER": lambda at, _, claims: compact(
        {"alg": "HS256", "kid": "first"}, claims, hs256(public(at.key, DER))
    ),
    "HS256 by our secret": lambda _, __, c: compact({"alg": "HS256"}, c, hs256(CLIENT_SECRET.encode())),
    "another key": lambda _, k, claims: compact({"alg": "RS256", "kid": "first"}, claims, rs256(k[1])),
    "another key, of another name": lambda _, k, c: compact({"alg": "RS256", "kid": "2"}, c, rs256(k[1])),
    "another algorithm than the key's": lambda at, _, claims: compact(
        {"alg": "PS256", "kid": "first"}, claims, ps256(at.key)
    ),
    "a key that it brings along": lambda _, k, claims: compact(
        {"alg": "RS256", "kid": "first", "jwk": Provider("", k[1]).jwks()["keys"][0]}, claims, rs256(k[1])
    ),
    "keys from where it says": lambda at, k, claims: compact(
        {"alg": "RS256", "kid": "x", "jku": f"{at.url}/evil"}, claims, rs256(k[1])
    ),
    "a critical field that is unknown": lambda at, _, claims: compact(
        {"alg": "RS256", "kid": "first", "crit": ["odd"], "odd": 1}, claims, rs256(at.key)
    ),
    "altered": lambda at, _, claims: at.id_token(claims)[:-9] + "A" * 9,
    "of two parts": lambda at, _, claims: at.id_token(claims).rpartition(".")[0],
    "of four parts": lambda at, _, claims: at.id_token(claims) + ".e30",
    "empty": lambda _, __, ___: "",
    "no token": lambda _, __, ___: "…" * 10,
    "very long": lambda at, _, claims: at.id_token(claims | {"more": "x" * 200_000}),
    "very deep": lambda at, _, claims: deep(at),
}


def deep(at: Provider) -> str:
    """A signed token that is no object but 40,000 lists in one another."""
    from base64 import urlsafe_b64encode  # noqa: PLC0415 - of this case only

    head = urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": "first"}).encode()).rstrip(b"=")
    data = head + b"." + urlsafe_b64encode(b"[" * 40_000).rstrip(b"=")
    return (data + b"." + urlsafe_b64encode(rs256(at.key)(data)).rstrip(b"=")).decode()


@pytest.mark.parametrize("sign", SIGNATURES.values(), ids=SIGNATURES.keys())
async def test_a_token_with_a_wrong_signature(
    cheat: Provider, keys: list[rsa.RSAPrivateKey], sign: Signs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens: list[str] = []

    def signed(claims: Claims) -> str:
        tokens.append(sign(cheat, keys, claims))
        return tokens[-1]

    cheat.sign = signed
    await is_refused(cheat)
    assert "/evil" not in cheat.asked
    assert not any(token and token in caplog.text for token in tokens)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # what it only warns of is refused here
async def test_symmetric_and_short_keys_of_the_provider_are_not_keys(cheat: Provider) -> None:
    """A provider that publishes an octet key would let anybody sign."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is to be refused
    weak = Provider("", short, "first").jwks()["keys"][0]
    octets = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "first"}
    cheat.sign = lambda claims: compact({"alg": "RS256", "kid": "first"}, claims, rs256(short))
    for useless in ([octets], [weak], [octets, weak], [], "keys", [7], [{"kty": "RSA"}]):
        cheat.answers["/jwks"] = lambda useless=useless: JSONResponse({"keys": useless})  # type: ignore[misc]
        with pytest.raises(DirectoryUnavailableError):
            await sign_in(cheat)


async def test_a_new_key_is_fetched_once(cheat: Provider, keys: list[rsa.RSAPrivateKey]) -> None:
    it = ours(cheat)
    await sign_in(cheat, it)
    await sign_in(cheat, it)
    assert cheat.asked.count("/jwks") == 1
    cheat.key, cheat.kid = keys[1], "second"
    await sign_in(cheat, it)
    assert cheat.asked.count("/jwks") == 2
    cheat.sign = lambda claims: compact({"alg": "RS256", "kid": "third"}, claims, rs256(keys[1]))
    await is_refused(cheat, it)
    assert cheat.asked.count("/jwks") == 3


async def test_the_clock_is_asked(cheat: Provider) -> None:
    late = OidcProvider(ours(cheat)._options, clock=lambda: time.time() + 400)
    await is_refused(cheat, late)


# What may be wrong with what the browser brings.


@pytest.mark.parametrize("state", ["", "x" * 43, "\ud800", "静"])
async def test_another_state(cheat: Provider, state: str) -> None:
    await is_refused(cheat, state=state)
    assert "/token" not in cheat.asked


@pytest.mark.parametrize("code", ["", "x", "x" * 5000, "another code\r\n"])
async def test_another_code(cheat: Provider, code: str) -> None:
    await is_refused(cheat, code=code)


async def test_a_code_of_another_browser(cheat: Provider) -> None:
    """Somebody else's code, brought with one's own state: PKCE and the nonce stand in the way."""
    it = ours(cheat)
    theirs, mine = await it.begin(BACK), await it.begin(BACK)
    stolen = cheat.come_back(theirs.url)["code"]
    with pytest.raises(ForbiddenError):
        await it.finish(BACK, mine, stolen, mine.state, cheat.url)


async def test_a_code_that_comes_again(cheat: Provider) -> None:
    it = ours(cheat)
    request = await it.begin(BACK)
    came = cheat.come_back(request.url)
    await it.finish(BACK, request, came["code"], came["state"], came["iss"])
    with pytest.raises(ForbiddenError):
        await it.finish(BACK, request, came["code"], came["state"], came["iss"])


async def test_another_address_to_come_back_to(cheat: Provider) -> None:
    it = ours(cheat)
    request = await it.begin(BACK)
    came = cheat.come_back(request.url)
    with pytest.raises(ForbiddenError):
        await it.finish(BACK + "/other", request, came["code"], came["state"], came["iss"])


async def test_a_request_without_a_state_is_none(cheat: Provider) -> None:
    it = ours(cheat)
    request = await it.begin(BACK)
    code = cheat.come_back(request.url)["code"]
    with pytest.raises(ForbiddenError):
        await it.finish(
            BACK, OidcRequest(request.url, "", request.nonce, request.verifier), code, "", cheat.url
        )
    assert "/token" not in cheat.asked


@pytest.mark.parametrize(
    ("says", "iss", "right"),
    [
        (True, None, False),
        (True, "https://evil.example.com", False),
        (None, None, True),
        (None, "https://evil.example.com", False),
        (None, "", False),
    ],
)
async def test_the_issuer_that_the_browser_brings(
    cheat: Provider, *, says: bool | None, iss: str | None, right: bool
) -> None:
    cheat.metadata["authorization_response_iss_parameter_supported"] = says
    if right:
        await sign_in(cheat, iss=iss)
    else:
        await is_refused(cheat, iss=iss)
        assert "/token" not in cheat.asked


def test_a_refusal_of_the_provider_is_told_alike(caplog: pytest.LogCaptureFixture) -> None:
    assert refused("access_denied\nforged line").code == "sign_in_refused"
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


# What may be wrong with the provider.

DISCOVERY = "/.well-known/openid-configuration"


def huge() -> Response:
    return Response(b'{"a": "' + b"x" * 2_000_000, media_type="application/json")


def zipped() -> Response:
    return Response(b"\x1f\x8b", headers={"content-encoding": "gzip"})


def elsewhere() -> Response:
    return RedirectResponse("/evil", 307)


def nonsense() -> Response:
    return Response(b"\xff\xfe<html>")


def a_list() -> Response:
    return JSONResponse([1])


def nested() -> Response:
    return Response(b"[" * 100_000)


def broken() -> Response:
    return Response(status_code=500)


def too_many() -> Response:
    return JSONResponse({"error": "slow_down"}, 429)


def our_secret_is_wrong() -> Response:
    return JSONResponse({"error": "invalid_client", "error_description": CLIENT_SECRET}, 400)


@pytest.mark.parametrize(
    "answer", [huge, zipped, elsewhere, nonsense, a_list, nested, broken, too_many, our_secret_is_wrong]
)
@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/jwks"])
async def test_a_provider_that_answers_nonsense(
    cheat: Provider, path: str, answer: Callable[[], Response], caplog: pytest.LogCaptureFixture
) -> None:
    cheat.answers[path] = answer
    with pytest.raises(DirectoryUnavailableError) as caught:
        await sign_in(cheat)
    assert caught.value.code == "directory_unavailable"
    assert "directory oidc" in caplog.text
    assert CLIENT_SECRET not in caplog.text
    assert "/evil" not in cheat.asked


@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/jwks"])
async def test_an_answer_without_end(cheat: Provider, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def spaces() -> AsyncIterator[bytes]:
        for _ in range(20_000):
            yield b" " * 50_000

    cheat.answers[path] = lambda: StreamingResponse(spaces())
    begin = time.monotonic()
    with pytest.raises(DirectoryUnavailableError):
        await sign_in(cheat, ours(cheat, timeout_s=60))
    assert time.monotonic() - begin < 30
    assert "sends more than" in caplog.text


@pytest.mark.parametrize("tokens", [{}, {"id_token": None}, {"id_token": ["a"]}, {"id_token": "a.b.c"}])
async def test_an_answer_without_a_token(cheat: Provider, tokens: Claims) -> None:
    cheat.answers["/token"] = lambda: JSONResponse(tokens)
    await is_refused(cheat)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example.com"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"token_endpoint": "/token"},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://127.0.0.1@evil.example.com/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://id.example.com/#here"},
        {"authorization_endpoint": "https://id.example.com/" + "x" * 2000},
    ],
    ids=str,
)
async def test_a_discovery_document_that_cannot_be_used(cheat: Provider, metadata: Claims) -> None:
    cheat.metadata |= metadata
    with pytest.raises(DirectoryUnavailableError):
        await ours(cheat).begin(BACK)


async def test_a_provider_that_is_down() -> None:
    nobody = Provider(f"http://127.0.0.1:{free_port()}", key=None)  # type: ignore[arg-type]
    with pytest.raises(DirectoryUnavailableError):
        await ours(nobody).begin(BACK)


@pytest.mark.parametrize("drips", [False, True])
async def test_a_provider_that_is_slow(*, drips: bool) -> None:
    """One that says nothing, and one whose answer grows for ever, a byte at a time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # it may be gone before we are told to end
                if drips:
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
                while not ended.wait(0.05):
                    if drips:
                        connection.sendall(b" ")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        slow = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}", key=None)  # type: ignore[arg-type]
        begin = time.monotonic()
        with pytest.raises(DirectoryUnavailableError):
            await ours(slow, timeout_s=0.3).begin(BACK)
        assert time.monotonic() - begin < 20
        ended.set()
        thread.join(30)


async def test_the_environment_has_no_say(cheat: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.lower(), proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert (await sign_in(cheat)).login == "li.wenjing"


async def test_certificates_are_checked(tmp_path: Path) -> None:
    for name in ("right", "other"):
        (tmp_path / name).mkdir()
        make_ca(tmp_path / name)
    with provider(tmp_path / "right") as secure:
        request = await ours(secure, ca=str(tmp_path / "right" / "ca.pem")).begin(BACK)
        assert request.url.startswith(f"{secure.url}/authorize?")
        for ca in (str(tmp_path / "other" / "ca.pem"), ""):
            with pytest.raises(DirectoryUnavailableError):
                await ours(secure, ca=ca).begin(BACK)
        secure.metadata["token_endpoint"] = secure.url.replace("https", "http") + "/token"
        with pytest.raises(DirectoryUnavailableError):
            await ours(secure, ca=str(tmp_path / "right" / "ca.pem")).begin(BACK)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem") as caught:
        ours(Provider("https://id.example.com", key=None), ca=str(file))  # type: ignore[arg-type]
    assert caught.value.param == "oidc.ca"


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vlpro.identity.directories.id_token", raising=False)
    monkeypatch.delattr("vlpro.identity.directories.id_token", raising=False)
    monkeypatch.setitem(sys.modules, "authlib", None)
    monkeypatch.setitem(sys.modules, "authlib.oauth2.rfc6749.parameters", None)
    with pytest.raises(ConfigError, match="Authlib") as caught:
        ours(Provider("http://127.0.0.1", key=None))  # type: ignore[arg-type]
    assert caught.value.param == "oidc"


def test_importing_it_imports_no_library_of_the_extra() -> None:
    code = (
        "import sys, vlpro.identity.directories.oidc;"
        "sys.exit(any(name in sys.modules for name in ('authlib', 'joserfc')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
