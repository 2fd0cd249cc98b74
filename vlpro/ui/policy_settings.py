"""The policy's settings as people read and write them. Values come from the API; what can be chosen stands here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vlpro.ui.strings import STRINGS, Language, text

__all__ = [
    "GROUPS",
    "SETTINGS",
    "LineError",
    "Setting",
    "differences",
    "names",
    "networks",
    "told",
    "within",
]

Kind = Literal["number", "yes", "choice", "networks", "names", "rules"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. Its name and help are the words ``setting.NAME`` and ``setting.NAME.help``.

    Args:
        name: As the API has it.
        group: Where it stands.
        kind: What it takes.
        least: Of a number, or of a name's length.
        most: Of a number, or of a list's length.
        choices: Of a choice; their words are ``choice.CHOICE``.
    """

    name: str
    group: str
    kind: Kind = "number"
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()


SETTINGS = (
    Setting("password_min_length", "passwords", least=8, most=64),
    Setting("password_classes", "passwords", least=3, most=4),
    Setting("password_score", "passwords", least=2, most=4),
    Setting("password_history", "passwords", least=3, most=24),
    Setting("password_max_age_days", "passwords", least=1, most=180),
    Setting("second_factor", "sign_in", "choice", choices=("administrators", "everybody")),
    Setting("directory_second_factor", "sign_in", "yes"),
    Setting("lock_after_failures", "sign_in", least=3, most=10),
    Setting("lock_minutes", "sign_in", least=5, most=1440),
    Setting("address_failures", "sign_in", least=3, most=200),
    Setting("idle_minutes", "sessions", least=1, most=30),
    Setting("session_hours", "sessions", least=1, most=12),
    Setting("sessions_per_account", "sessions", least=1, most=20),
    Setting("disable_after_idle_days", "accounts", least=7, most=180),
    Setting("new_accounts_role", "accounts", "choice", choices=("none", "user")),
    Setting("directory_groups", "accounts", "rules", most=200),
    Setting("user_addresses", "addresses", "networks", most=256),
    Setting("administration_addresses", "addresses", "networks", most=256),
    Setting("key_max_days", "keys", least=1, most=730),
    Setting("keys_per_account", "keys", least=0, most=100),
    Setting("key_requests_per_minute", "keys", least=1, most=100_000),
    Setting("store_conversations", "conversations", "yes"),
    Setting("conversation_days", "conversations", least=1, most=3650),
    Setting("keep_images", "conversations", "yes"),
    Setting("watermark", "pages", "yes"),
    Setting("audit_texts", "pages", "choice", choices=("hashed", "encrypted")),
    Setting("mask_answers", "privacy", "yes"),
    Setting("mask_exports", "privacy", "yes"),
    Setting("mask_shipped", "privacy", "yes"),
    Setting("mask_names", "privacy", "names", least=2, most=1000),
)
GROUPS = tuple(dict.fromkeys(setting.group for setting in SETTINGS))
_BY_NAME = {setting.name: setting for setting in SETTINGS}


class LineError(ValueError):
    """A line of a list is no network, or no name.

    Args:
        line: Which, from 1.
        text: What stands in it.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}")
        self.line = line
        self.text = text


def networks(written: str) -> list[str]:
    """Networks of a text, one a line, in their usual form; empty lines do not count.

    Raises:
        LineError: A line is neither a network nor an address.
    """
    found = []
    for number, line in enumerate(written.splitlines(), 1):
        if not (network := line.strip()):
            continue
        try:
            found.append(str(ipaddress.ip_network(network)))
        except ValueError:
            raise LineError(number, network[:60]) from None
    return list(dict.fromkeys(found))


def names(written: str) -> list[str]:
    """Names of a text, one a line; empty lines do not count.

    Raises:
        LineError: A line is too short or too long for a name.
    """
    found = []
    for number, line in enumerate(written.splitlines(), 1):
        if not (name := line.strip()):
            continue
        if not 2 <= len(name) <= 40:
            raise LineError(number, name[:60])
        found.append(name)
    return list(dict.fromkeys(found))


def within(address: str, listed: Sequence[str]) -> bool:
    """Whether an address is in one of some networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(network) for network in listed)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], language: Language) -> list[tuple[str, str]]:
    """What differs between two contents of the policy: names and changes, in words."""
    return [
        (_name(name, language), _change(name, old.get(name), new[name], language))
        for name in new
        if old.get(name) != new[name]
    ]


def _name(name: str, language: Language) -> str:
    return text(f"setting.{name}", language) if f"setting.{name}" in STRINGS else name


def _change(name: str, old: Any, new: Any, language: Language) -> str:
    if isinstance(old, list) and isinstance(new, list):
        kept = [_item(item, language) for item in old], [_item(item, language) for item in new]
        gone = [f"− {item}" for item in kept[0] if item not in kept[1]]
        come = [f"+ {item}" for item in kept[1] if item not in kept[0]]
        return "\n".join([*gone, *come]) or text("policy.order", language)
    return f"{told(name, old, language)} → {told(name, new, language)}"


def told(name: str, value: Any, language: Language) -> str:
    """A value in words."""
    setting = _BY_NAME.get(name)
    if isinstance(value, bool):
        return text("yes" if value else "no", language)
    if setting is not None and setting.kind == "choice" and value in setting.choices:
        return text(f"choice.{value}", language)
    if isinstance(value, list):
        return "\n".join(_item(item, language) for item in value) or text("policy.nothing", language)
    return "–" if value is None else str(value)


def _item(item: Any, language: Language) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    role, level = text("role." + item["role"], language), text("level." + item["level"], language)
    return f"{item['group']}: {role}, {level}"
