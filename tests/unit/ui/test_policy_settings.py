from __future__ import annotations

from typing import Any, get_args

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from vlpro.identity.permissions import Role
from vlpro.identity.policy import GroupRule, Policy
from vlpro.ui.policy_settings import SETTINGS, LineError, differences, names, networks, told, within


def _bound(field: FieldInfo, kind: type[Any], name: str) -> Any:
    return next((getattr(mark, name) for mark in field.metadata if isinstance(mark, kind)), None)


def test_every_setting_of_the_policy_can_be_set() -> None:
    assert [setting.name for setting in SETTINGS if setting.name not in Policy.model_fields] == []
    assert {setting.name for setting in SETTINGS} == set(Policy.model_fields)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_bounds_and_choices_are_those_of_the_service(setting: Any) -> None:
    field = Policy.model_fields[setting.name]
    match setting.kind:
        case "number":
            assert setting.least == _bound(field, annotated_types.Ge, "ge")
            assert setting.most == _bound(field, annotated_types.Le, "le")
        case "choice":
            assert setting.choices == get_args(field.annotation)
        case "yes":
            assert field.annotation is bool
        case _:
            assert setting.most == _bound(field, annotated_types.MaxLen, "max_length")


def test_networks_are_read_line_by_line() -> None:
    assert networks(" 10.0.0.0/8\n\n192.168.1.7 \n10.0.0.0/8\nfd00::/8") == [
        "10.0.0.0/8",
        "192.168.1.7/32",
        "fd00::/8",
    ]
    assert networks("") == []
    for text, line in (("10.0.0.0/8\nhere", 2), ("\n\n10.1.1.1/8", 3), ("1.2.3", 1)):
        with pytest.raises(LineError) as caught:
            networks(text)
        assert caught.value.line == line


def test_an_address_is_looked_for_in_networks() -> None:
    assert within("10.2.3.4", ["192.168.0.0/16", "10.0.0.0/8"])
    assert within("::ffff:10.2.3.4", ["10.0.0.0/8"])
    assert not within("10.2.3.4", ["fd00::/8"])
    assert not within("", ["0.0.0.0/0"])


def test_differences_are_told_in_words() -> None:
    old = Policy()
    new = Policy(
        idle_minutes=20,
        watermark=True,
        second_factor="administrators",
        user_addresses=("10.0.0.0/8", "203.0.113.0/24"),
        directory_groups=(GroupRule(group="cn=vl", role=Role.USER, level="secret"),),
    )
    found = dict(differences(old.model_dump(mode="json"), new.model_dump(mode="json"), "en"))
    assert found["Sign out when idle (minutes)"] == "15 → 20"
    assert found["Watermark"] == "No → Yes"
    assert found["Second factor"] == "Everybody → Administrators only"
    assert "− 192.168.0.0/16" in found["Addresses of users"].splitlines()
    assert found["Addresses of users"].splitlines()[-1] == "+ 203.0.113.0/24"
    assert found["Groups of the company's directory"] == "+ cn=vl: User, Secret"
    assert len(found) == 5
    chinese = dict(differences(old.model_dump(mode="json"), new.model_dump(mode="json"), "zh"))
    assert chinese["页面水印"] == "否 → 是"


def test_what_the_page_does_not_know_is_told_as_it_is() -> None:
    assert differences({"new_one": 1}, {"new_one": 2}, "en") == [("new_one", "1 → 2")]
    assert differences({"a": ["x", "y"]}, {"a": ["y", "x"]}, "en") == [("a", "Another order")]
    assert told("user_addresses", [], "zh") == "（空）"
    assert told("nothing", None, "zh") == "–"


def test_names_are_read_one_a_line() -> None:
    assert names(" 张三 \n\nLi Lei\n张三") == ["张三", "Li Lei"]
    for text, line in (("张三\n李", 2), ("x" * 41, 1)):
        with pytest.raises(LineError) as caught:
            names(text)
        assert caught.value.line == line
