from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from vlpro.identity.directories.options import LdapOptions, OidcOptions, is_loopback

LDAP = {"url": "ldaps://directory.example.com", "ca": "ca.pem", "base_dn": "dc=example,dc=com"}
SERVICE = {"bind_dn": "cn=reader", "bind_password": "a secret"}
OIDC = {"issuer": "https://id.example.com/realms/staff", "client_id": "vlpro", "client_secret": "a secret"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "ldaps://directory.example.com:3269/"},
        {"url": "ldap://directory.example.com", "start_tls": True},
        {"url": "ldap://127.0.0.1:389", "ca": ""},
        {"url": "ldap://[::1]", "ca": ""},
        {"url": "ldap://localhost", "ca": ""},
        {"url": "ldapi://%2Fvar%2Frun%2Fslapd%2Fldapi", "ca": ""},
        {"base_dn": "", "user_dn_template": "uid={login},dc=example,dc=com"},
        {"user_dn_template": "{login}@example.com"},
        SERVICE,
        {"id_attribute": "objectGUID", "id_format": "guid"},
        {"member_of_attribute": "memberOf", "group_base_dn": "ou=groups"},
        {"group_filter": "(memberUid={login})"},
    ],
)
def test_ldap_settings_that_are_safe(settings: dict[str, Any]) -> None:
    assert LdapOptions.model_validate(LDAP | settings).id_attribute


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "ldap://directory.example.com"}, "in the clear"),
        ({"url": "ldap://10.0.0.1"}, "in the clear"),
        ({"url": "ldap://127.0.0.1.example.com"}, "in the clear"),
        ({"url": "ldap://localhost.example.com"}, "in the clear"),
        ({"url": "ldaps://directory.example.com", "start_tls": True}, "first byte"),
        ({"ca": ""}, "TLS needs ca"),
        ({"url": "ldap://127.0.0.1", "start_tls": True, "ca": ""}, "TLS needs ca"),
        ({"url": "http://directory.example.com"}, "url must be"),
        ({"url": "ldaps://"}, "url must be"),
        ({"url": "ldaps://reader:secret@directory.example.com"}, "url must be"),
        ({"url": "ldaps://directory.example.com:0"}, "url must be"),
        ({"url": "ldaps://directory.example.com:99999"}, "Port"),
        ({"url": "ldaps://directory.example.com/dc=example"}, "url ends"),
        ({"url": "ldapi://socket"}, "ldapi"),
        ({"bind_dn": "cn=reader"}, "belong together"),
        ({"bind_password": "a secret"}, "belong together"),
        ({"base_dn": ""}, "is needed"),
        ({"user_dn_template": "uid=li"}, "must hold"),
        (SERVICE | {"user_dn_template": "uid={login}"}, "needs no bind_dn"),
        ({"user_filter": "(objectClass=person)"}, "find everybody"),
        ({"user_filter": "uid={login}"}, "in brackets"),
        ({"user_filter": "((uid={login})"}, "in brackets"),
        ({"group_filter": "(objectClass=group)"}, "in every group"),
        ({"id_attribute": "objectGUID"}, "id_format"),
        ({"id_attribute": "a)(b"}, "pattern"),
        ({"member_of_attribute": "memberOf"}, "needs group_base_dn"),
        ({"timeout_s": 0}, "greater"),
        ({"verify": False}, "Extra"),
    ],
)
def test_ldap_settings_that_are_not(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        LdapOptions.model_validate(LDAP | settings)
    assert "a secret" not in str(caught.value)


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8080", "http://localhost/realm", "https://id.example.com/"]
)
def test_issuers_that_are_safe(issuer: str) -> None:
    assert OidcOptions.model_validate(OIDC | {"issuer": issuer}).issuer == issuer


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"issuer": "http://id.example.com"}, "https"),
        ({"issuer": "https://"}, "issuer must be"),
        ({"issuer": "https://me:pass@id.example.com"}, "issuer must be"),
        ({"issuer": "https://id.example.com/?a=b"}, "issuer must be"),
        ({"client_secret": ""}, "at least 1"),
        ({"algorithms": []}, "at least 1"),
        ({"algorithms": ["HS256"]}, "Input should be"),
        ({"algorithms": ["none"]}, "Input should be"),
        ({"scopes": ["profile"]}, "openid"),
        ({"scopes": ["openid", "a b"]}, "pattern"),
    ],
)
def test_provider_settings_that_are_not(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        OidcOptions.model_validate(OIDC | settings)
    assert "a secret" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    assert "a secret" not in repr(LdapOptions.model_validate(LDAP | SERVICE))
    assert "a secret" not in repr(OidcOptions.model_validate(OIDC))


def test_each_setting_is_described() -> None:
    for model in (LdapOptions, OidcOptions):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("host", "so"),
    [("127.8.9.1", True), ("::1", True), ("LOCALHOST", True), ("10.0.0.1", False), ("", False)],
)
def test_this_machine(host: str, *, so: bool) -> None:
    assert is_loopback(host) is so


def test_settings_import_no_client() -> None:
    code = (
        "import sys, vlpro.identity.directories.options;"
        "sys.exit(any(name in sys.modules for name in ('ldap', 'authlib', 'joserfc')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
