"""The self-test: kept on a good system, broken in exactly what was weakened, and never by silence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlpro.chat import service as chat_service
from vlpro.compliance import promises as tried
from vlpro.compliance.promises import PROMISES
from vlpro.compliance.selftest import (
    BrokenError,
    Context,
    NotHereError,
    Promise,
    Result,
    Sentence,
    Verdict,
    refuse,
    run,
)
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.errors import ConfigError
from vlpro.process import keep_memory_private
from vlpro.sealing.offline import OFFLINE

BY_NAME = {promise.name: promise for promise in PROMISES}


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service does to its process before all else."""
    keep_memory_private()
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return Settings(data_dir=folder)


def result_of(name: str, settings: Settings) -> Result:
    (result,) = run([BY_NAME[name]], settings, Sealer(b"k" * 32))
    return result


def test_all_promises_are_kept_here_or_say_why_not(settings: Settings) -> None:
    told: list[Result] = []
    results = run(PROMISES, settings, Sealer(b"k" * 32), tell=told.append)
    assert told == results
    assert [each for each in results if each.verdict is Verdict.BROKEN] == []
    assert len(BY_NAME) == len(PROMISES)
    refuse(results)
    for each in results:
        said = each.as_json()
        assert said["promise"]["zh"] != said["promise"]["en"]
        assert said["clause"].startswith("8.1.")
        assert said["found"]["en"]


def weak_seal(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(Sealer, "seal", lambda _, data, place: data + b"0" * 20)
    monkeypatch.setattr(Sealer, "open", lambda _, sealed, place: sealed[:-20])


def weak_binding(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    seal, opened = Sealer.seal, Sealer.open
    monkeypatch.setattr(Sealer, "seal", lambda self, data, place: seal(self, data, "anywhere"))
    monkeypatch.setattr(Sealer, "open", lambda self, sealed, place: opened(self, sealed, "anywhere"))


def weak_cipher(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    def broken() -> tuple[str, ...]:
        raise ConfigError("The cipher library computes SM4 wrong.", zh="SM4 计算错误。", param="crypto")

    monkeypatch.setattr(tried, "self_test", broken)


def open_folder(_: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.data_dir.chmod(0o755)


def blind_verification(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(tried, "verify", lambda *_, **__: None)


def forgetful_chat(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    class Silent:
        @classmethod
        async def ask(cls, *_: object) -> Silent:
            return cls()

        async def answered(self, *_: object) -> None: ...

        def ended(self, *_: object) -> None: ...

    monkeypatch.setattr(chat_service, "Recorded", Silent)


def no_pixel_cap(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    limits = tried.Limits
    monkeypatch.setattr(tried, "Limits", lambda **_: limits(max_pixels=10**9, max_decode_bytes=2 * 10**9))


def core_dumps(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(tried.resource, "getrlimit", lambda _: (-1, -1))


def online(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "0")


@pytest.mark.parametrize(
    ("name", "weaken"),
    [
        ("ciphers", weak_cipher),
        ("sealing", weak_seal),
        ("sealing", weak_binding),
        ("data_folder", open_folder),
        ("audit_chain", blind_verification),
        ("audit_first", forgetful_chat),
        ("pictures", no_pixel_cap),
        ("memory", core_dumps),
        ("offline", online),
    ],
)
def test_what_was_weakened_is_named_and_nothing_else(
    name: str,
    weaken: Callable[[pytest.MonkeyPatch, Settings], None],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weaken(monkeypatch, settings)
    quick = [promise for promise in PROMISES if promise.name == name or promise.name != "pictures"]
    results = run(quick, settings, Sealer(b"k" * 32))
    assert [each.promise.name for each in results if each.verdict is Verdict.BROKEN] == [name]
    with pytest.raises(ConfigError) as refused:
        refuse(results)
    assert BY_NAME[name].promise.en in refused.value.message
    assert BY_NAME[name].promise.zh in refused.value.zh


def _promise(check: Callable[[Context], Sentence]) -> Promise:
    one = Sentence("It holds.", "成立。")
    return Promise("it", "8.1.4.3", one, one, check)


def _crash(_: Context) -> Sentence:
    raise ZeroDivisionError("by accident")


def _broken(_: Context) -> Sentence:
    raise BrokenError("It does not.", "不成立。")


def _elsewhere(_: Context) -> Sentence:
    raise NotHereError("There is none here.", "此处没有。")


@pytest.mark.parametrize(
    ("check", "verdict", "found"),
    [
        (_crash, Verdict.BROKEN, "The check crashed: ZeroDivisionError: by accident"),
        (_broken, Verdict.BROKEN, "It does not."),
        (_elsewhere, Verdict.NOT_HERE, "There is none here."),
    ],
)
def test_a_check_that_crashes_breaks_its_promise_and_no_other(
    check: Any, verdict: Verdict, found: str, settings: Settings
) -> None:
    results = run([_promise(check), BY_NAME["ciphers"]], settings, Sealer(b"k" * 32))
    assert (results[0].verdict, results[0].found.en) == (verdict, found)
    assert results[1].verdict is Verdict.KEPT


def test_what_a_check_writes_is_gone_afterwards(settings: Settings) -> None:
    seen: list[Path] = []

    def write(context: Context) -> Sentence:
        (context.folder / "something").write_text("canary")
        seen.append(context.folder)
        return Sentence("Written.", "已写入。")

    run([_promise(write)], settings, Sealer(b"k" * 32))
    assert not seen[0].exists()
    assert list(settings.data_dir.iterdir()) == []
