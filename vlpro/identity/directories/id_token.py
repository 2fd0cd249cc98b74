"""The rules of a sign-in with OpenID Connect, without any input or output; needs Authlib and joserfc.

Sources: OpenID Connect Core 1.0, 3.1.2.1 and 3.1.3.7; RFC 7636 (PKCE); RFC 8725 (JSON Web Tokens, best practice).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet, RSAKey
from joserfc.jws import JWSRegistry

__all__ = ["LEEWAY_S", "InvalidTokenError", "UnknownKeyError", "authorization_url", "key_set", "verified"]

LEEWAY_S = 60
"""How far the provider's clock may be from ours, seconds."""

_MOST_KEYS = 100
_SMALLEST_RSA = 2048
_LONGEST_TOKEN = 100_000
_LONGEST_SUBJECT = 255


class InvalidTokenError(Exception):
    """An ID token that is not to be believed; the sentence is for the log and holds nothing of the person."""


class UnknownKeyError(InvalidTokenError):
    """It is signed with a key that is not among those known; the provider may have a new one."""


def authorization_url(
    endpoint: str,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Collection[str],
    state: str,
    nonce: str,
    verifier: str,
) -> str:
    """Where the person's browser goes."""
    url: str = prepare_grant_uri(
        endpoint,
        client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=" ".join(scopes),
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return url


def key_set(document: Mapping[str, object]) -> KeySet:
    """The provider's public keys for signatures; what cannot be used is left out.

    Raises:
        ValueError: There is none.
    """
    entries = document.get("keys")
    keys: list[Key] = []
    for entry in entries[:_MOST_KEYS] if isinstance(entries, list) else ():
        # A symmetric key in there would be public, and so would sign for anybody.
        if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC"}:
            continue
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if not isinstance(key, RSAKey) or key.raw_value.key_size >= _SMALLEST_RSA:
            keys.append(key)
    if not keys:
        raise ValueError("the provider has no key that can be used")
    return KeySet(keys)


def verified(
    id_token: str,
    keys: KeySet,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None,
    algorithms: Collection[str],
    now: int,
) -> dict[str, Any]:
    """Believe an ID token.

    Args:
        id_token: As it came from the provider.
        keys: The provider's.
        issuer: Whose it must be.
        client_id: Whom it must be for.
        nonce: What it must answer.
        access_token: What came with it; compared where the token holds its hash.
        algorithms: Signatures that are accepted; asymmetric ones, at least one.
        now: Seconds since 1970.

    Returns:
        Its claims; ``sub`` is a text of 1 to 255 characters.

    Raises:
        UnknownKeyError: None of the keys is the one that it names.
        InvalidTokenError: Anything else is wrong with it.
    """
    if not algorithms or not nonce:  # either would switch a check off
        raise InvalidTokenError("nothing to check the token by")
    if len(id_token) > _LONGEST_TOKEN:
        raise InvalidTokenError("the token is too long")
    # A header field that is not known is ignored, as RFC 7515 says, unless it is critical.
    registry = JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    try:
        token = jwt.decode(id_token, keys, registry=registry)
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": client_id},
            },
            params={"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        claims.validate(now=now, leeway=LEEWAY_S)
    except InvalidKeyIdError as error:
        raise UnknownKeyError("the token is signed with an unknown key") from error
    except JoseError as error:
        raise InvalidTokenError(f"{error.error}: {error.description}") from error
    except (ValueError, TypeError, RecursionError) as error:  # a leak of the libraries
        raise InvalidTokenError(f"the token is malformed ({type(error).__name__})") from error
    subject = token.claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise InvalidTokenError("the token names nobody")
    return dict(token.claims)
