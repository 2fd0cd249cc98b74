"""How a company's directory is reached and read; imports no client, so that settings stay light."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["LdapOptions", "OidcOptions", "is_loopback"]

Attribute = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]
OptionalAttribute = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9-]*)?$")]
Claim = Annotated[str, Field(min_length=1, max_length=200)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LdapOptions(BaseModel):
    """One LDAP directory: OpenLDAP, 389 Directory Server, Active Directory and their like."""

    model_config = _FROZEN

    url: Annotated[
        str,
        Field(
            description="ldaps://HOST[:PORT]; ldap://HOST[:PORT] with start_tls, or without to this machine only; "
            "ldapi://%2Fpath%2Fto%2Fsocket"
        ),
    ]
    start_tls: Annotated[
        bool, Field(description="ldap://: ask for TLS before anything else is said; refused: nothing is")
    ] = False
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed the server's certificate; needed for TLS. "
            "Debian's own: /etc/ssl/certs/ca-certificates.crt"
        ),
    ] = ""
    bind_dn: Annotated[
        str,
        Field(description="Service account that searches for people, as a DN; empty: an anonymous search"),
    ] = ""
    bind_password: Annotated[SecretStr, Field(description="Its password")] = SecretStr("")
    base_dn: Annotated[str, Field(description="Where people are; needed unless user_dn_template is set")] = ""
    user_filter: Annotated[
        str,
        Field(
            description="Who may sign in; {login} is what the person typed. Active Directory: "
            "(&(objectClass=user)(sAMAccountName={login})(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
        ),
    ] = "(uid={login})"
    user_dn_template: Annotated[
        str,
        Field(
            description="The DN of a person, with {login}, where it follows from the login: no search, no service "
            "account. user_filter holds all the same"
        ),
    ] = ""
    id_attribute: Annotated[
        Attribute,
        Field(
            description="What a person is known by for ever: entryUUID; Active Directory: objectGUID; 389: nsUniqueId"
        ),
    ] = "entryUUID"
    id_format: Annotated[
        Literal["text", "guid", "hex"],
        Field(
            description="How it is written: text; guid: Microsoft's 16 bytes (objectGUID); hex: other bytes"
        ),
    ] = "text"
    login_attribute: Annotated[
        Attribute, Field(description="The login as the directory writes it; Active Directory: sAMAccountName")
    ] = "uid"
    name_attribute: Annotated[
        Attribute, Field(description="The name that is shown; Active Directory: displayName")
    ] = "cn"
    department_attribute: Annotated[
        OptionalAttribute,
        Field(description="The department; Active Directory: department; empty: it is not read"),
    ] = "departmentNumber"
    group_base_dn: Annotated[
        str, Field(description="Where groups are, those elsewhere do not count; empty: groups are not read")
    ] = ""
    group_filter: Annotated[
        str,
        Field(
            description="A person's groups, below group_base_dn; {dn} and {login} are the person's. Nested groups of "
            "Active Directory: (member:1.2.840.113556.1.4.1941:={dn})"
        ),
    ] = "(member={dn})"
    group_name_attribute: Annotated[
        Attribute,
        Field(description="What a group is called; with member_of_attribute the first part of its DN"),
    ] = "cn"
    member_of_attribute: Annotated[
        OptionalAttribute,
        Field(description="Attribute of the person that lists the DNs of groups (memberOf); then no search"),
    ] = ""
    timeout_s: Annotated[
        float, Field(gt=0, le=60, description="Seconds that checking one password may take")
    ] = 10

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "ldapi":
            if not unquote(parts.netloc).startswith("/") or parts.path or self.start_tls:
                raise ValueError("ldapi:// takes the path of a socket, its slashes as %2F, and no start_tls")
        elif parts.scheme not in {"ldap", "ldaps"} or not host or port == 0 or parts.username is not None:
            raise ValueError("url must be ldaps://HOST[:PORT], ldap://HOST[:PORT] or ldapi://%2Fpath")
        elif parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("url ends after host and port; the base belongs in base_dn")
        elif parts.scheme == "ldaps" and self.start_tls:
            raise ValueError("ldaps:// is TLS from its first byte: leave start_tls out, or write ldap://")
        elif parts.scheme == "ldap" and not self.start_tls and not is_loopback(host):
            raise ValueError("ldap:// would send passwords in the clear: set start_tls, or write ldaps://")
        if (parts.scheme == "ldaps" or self.start_tls) and not self.ca:
            raise ValueError("TLS needs ca, the file of the authorities that are trusted")
        return self

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.bind_dn) != bool(self.bind_password.get_secret_value()):
            # A DN without a password would be an unauthenticated bind, which many servers answer with success.
            raise ValueError("bind_dn and bind_password belong together")
        if not self.user_dn_template and not self.base_dn:
            raise ValueError("base_dn or user_dn_template is needed")
        if self.user_dn_template and "{login}" not in self.user_dn_template:
            raise ValueError("user_dn_template must hold {login}")
        if self.user_dn_template and self.bind_dn:
            raise ValueError("user_dn_template needs no bind_dn: the person reads the own entry")
        if self.id_attribute.lower() == "objectguid" and self.id_format != "guid":
            raise ValueError("objectGUID is written as bytes: set id_format to guid")
        if self.member_of_attribute and not self.group_base_dn:
            raise ValueError(
                "member_of_attribute needs group_base_dn: a group of the same name may lie elsewhere"
            )
        return self

    @field_validator("user_filter", "group_filter")
    @classmethod
    def _is_a_filter(cls, value: str) -> str:
        if not re.fullmatch(r"\(.+\)", value, re.DOTALL) or value.count("(") != value.count(")"):
            raise ValueError("a filter stands in brackets, such as (uid={login})")
        return value

    @field_validator("user_filter")
    @classmethod
    def _finds_one_person(cls, value: str) -> str:
        if "{login}" not in value:
            raise ValueError("user_filter must hold {login}, or it would find everybody")
        return value

    @field_validator("group_filter")
    @classmethod
    def _finds_ones_groups(cls, value: str) -> str:
        if "{login}" not in value and "{dn}" not in value:
            raise ValueError("group_filter must hold {dn} or {login}, or everybody would be in every group")
        return value


class OidcOptions(BaseModel):
    """One OpenID Connect provider: Keycloak, AD FS, Entra ID and their like."""

    model_config = _FROZEN

    issuer: Annotated[
        str,
        Field(
            description="https:// URL that the provider calls itself, to the letter; http to this machine only"
        ),
    ]
    client_id: Annotated[str, Field(min_length=1, max_length=500, description="Our name at the provider")]
    client_secret: Annotated[SecretStr, Field(min_length=1, description="Our password at the provider")]
    client_auth: Annotated[
        Literal["client_secret_basic", "client_secret_post"],
        Field(description="How the password is sent: in a header (basic) or in the form (post)"),
    ] = "client_secret_basic"
    scopes: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")], ...],
        Field(description="What is asked for; openid must be among it"),
    ] = ("openid", "profile")
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed the provider's certificate; empty: those "
            "that the system trusts"
        ),
    ] = ""
    algorithms: Annotated[
        tuple[Algorithm, ...],
        Field(
            min_length=1,
            description="Signatures of ID tokens that are accepted; never none or a shared key's",
        ),
    ] = ("RS256", "PS256", "ES256", "ES384")
    login_claim: Annotated[
        Claim, Field(description="Claim with the login; a dot goes into an object: realm_access.roles")
    ] = "preferred_username"
    name_claim: Annotated[Claim, Field(description="Claim with the name that is shown")] = "name"
    department_claim: Annotated[Claim, Field(description="Claim with the department")] = "department"
    groups_claim: Annotated[Claim, Field(description="Claim with the groups, a list of texts")] = "groups"
    timeout_s: Annotated[
        float, Field(gt=0, le=60, description="Seconds that the provider may take for one step of a sign-in")
    ] = 10

    @field_validator("issuer")
    @classmethod
    def _is_an_issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise ValueError("issuer must be https://HOST[:PORT][/PATH] and no more")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("issuer must begin with https; http is for this machine only")
        return value

    @field_validator("scopes")
    @classmethod
    def _asks_for_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError("scopes must hold openid")
        return value


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine, told without asking a name server."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
