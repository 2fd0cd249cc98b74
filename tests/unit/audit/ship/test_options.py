from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vlpro.audit.ship.check import ranges
from vlpro.audit.ship.elastic import Elasticsearch, _wait
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.ship.store import Store
from vlpro.errors import ConfigError

SECRET = "c2VjcmV0"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "name one destination"),
        ({"url": "https://elk", "syslog": {"host": "h"}}, "name one destination"),
        ({"url": "ftp://elk"}, "write it as https"),
        ({"url": "https://user:word@elk"}, "write it as https"),
        ({"url": "https://elk?x=1"}, "write it as https"),
        ({"url": "https://elk:port"}, "write it as https"),
        ({"url": "https://elk a"}, "write it as https"),
        ({"url": "http://elk:9200"}, "is readable on the way"),
        ({"url": "https://elk", "user": "u"}, "belong together"),
        ({"url": "https://elk", "password": SECRET}, "belong together"),
        ({"url": "https://elk", "api_key": SECRET, "user": "u", "password": "p"}, "not both"),
        ({"url": "https://elk", "api_key": SECRET, "api_key_file": "f"}, "not both"),
        ({"url": "https://elk", "index": "Vlpro"}, "pattern"),
        ({"url": "https://elk", "index": "a,b"}, "pattern"),
        ({"url": "https://elk", "index": "a*"}, "pattern"),
        ({"url": "https://elk", "labels": {"a.b": "c"}}, "pattern"),
        ({"url": "https://elk", "unknown": 1}, "Extra inputs"),
        ({"syslog": {"host": "h", "sd_id": "vlpro"}}, "pattern"),
    ],
)
def test_what_contradicts_itself_is_refused_and_no_secret_told(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as found:
        ShipOptions(**given)
    assert SECRET not in str(found.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9200", "http://localhost", "http://[::1]:9200", "https://elk.example.cn:9200/es/"],
)
def test_addresses(url: str) -> None:
    assert ShipOptions(url=url).url == url.rstrip("/")
    assert ShipOptions(url="http://elk", plain_http=True).url


def test_secrets_do_not_show() -> None:
    assert SECRET not in repr(ShipOptions(url="https://elk", api_key=SECRET))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ca": "/nonexistent.pem"}, "is no PEM file"),
        ({"api_key_file": "/nonexistent"}, "cannot be read"),
        ({"api_key": "a\nb"}, "no such key has"),
        ({"user": "u", "password_file": "/nonexistent"}, "cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_named(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Elasticsearch(ShipOptions(url="https://elk", **more))


@pytest.mark.parametrize("url", ["", "mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:?x"])
def test_other_databases_are_refused(url: str) -> None:
    if url.startswith("sqlite:///"):
        with pytest.raises(Exception, match="cannot be read"):
            Store(url).ends()
    else:
        with pytest.raises(ConfigError, match="must be named as"):
            Store(url)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot be read"):
        Store(f"sqlite:///{tmp_path}/audit.db").ends()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("", 0, 0),
        ("2", 2, 2),
        ("-1", 0, 0),
        ("nan", 0, 0),
        ("1e9", 300, 300),
        ("soon", 0, 0),
        ("Fri, 27 Nov 2099 00:00:00 GMT", 300, 300),
        ("Fri, 27 Nov 2020 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after(value: str, least: float, most: float) -> None:
    assert least <= _wait(value) <= most


def test_numbers_in_words() -> None:
    assert ranges([]) == ""
    assert ranges([3, 7, 8, 9, 11]) == "3, 7-9, 11"
    assert ranges(range(1, 100, 2), most=2) == "1, 3, …"
