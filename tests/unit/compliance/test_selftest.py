"""The self-test: kept on a good system, broken in exactly what was weakened, and never by silence."""

from __future__ import annotations

import os
import re
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.qwen import tokenizer_json
from vlpro.chat import service as chat_service
from vlpro.chat.store import ConversationStore
from vlpro.compliance.checks import intake, record, storage
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
from vlpro.crypto import DataKey, Sealer
from vlpro.engines.qwen.prompt import Encoder
from vlpro.errors import ConfigError, VlproError
from vlpro.gateway import profile
from vlpro.imaging.ingest import Limits
from vlpro.process import keep_memory_private
from vlpro.sealing import probes
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

    monkeypatch.setattr(storage, "self_test", broken)


def open_folder(_: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.data_dir.chmod(0o755)


def blind_verification(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(record, "verify", lambda *_, **__: None)


def forgetful_chat(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    class Silent:
        @classmethod
        async def ask(cls, *_: object) -> Silent:
            return cls()

        async def answered(self, *_: object) -> None: ...

        def ended(self, *_: object) -> None: ...

    monkeypatch.setattr(chat_service, "Recorded", Silent)


def no_pixel_cap(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    limits = Limits
    monkeypatch.setattr(intake, "Limits", lambda **_: limits(max_pixels=10**9, max_decode_bytes=2 * 10**9))


def core_dumps(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (-1, -1))


def online(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "0")


def clear_conversations(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(DataKey, "seal", lambda _, data, place, version=1: data)


def unbound_conversations(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    opened = DataKey.open

    def careless(self: DataKey, sealed: bytes, place: str, version: int = 1) -> bytes:
        try:
            return opened(self, sealed, place, version)
        except VlproError:
            return b'{"role": "user", "state": "done"}'

    monkeypatch.setattr(DataKey, "open", careless)
    monkeypatch.setattr(ConversationStore, "load", lambda *_, **__: None)


def no_masks(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(intake, "mask_text", lambda text: text)


def a_way_out(monkeypatch: pytest.MonkeyPatch, _: Settings) -> None:
    monkeypatch.setattr(probes, "prove", lambda: [probes.Attempt("UDP", refused=False, told="it works")])


@pytest.mark.parametrize(
    ("name", "weaken"),
    [
        ("ciphers", weak_cipher),
        ("sealing", weak_seal),
        ("sealing", weak_binding),
        ("data_folder", open_folder),
        ("conversations", clear_conversations),
        ("conversations", unbound_conversations),
        ("personal_data", no_masks),
        ("egress", a_way_out),
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
    slow = {"pictures", "egress"} - {name}
    quick = [promise for promise in PROMISES if promise.name not in slow]
    results = run(quick, settings, Sealer(b"k" * 32))
    assert [each.promise.name for each in results if each.verdict is Verdict.BROKEN] == [name]
    with pytest.raises(ConfigError) as refused:
        refuse(results)
    assert BY_NAME[name].promise.en in refused.value.message
    assert BY_NAME[name].promise.zh in refused.value.zh


@pytest.fixture
def model(settings: Settings, tmp_path: Path) -> Settings:
    """With the published tokenizer of Qwen3-VL."""
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    return settings.model_copy(update={"model_dir": str(tmp_path)})


def test_texts_command_no_model_that_is_here(model: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result_of("control_tokens", model).verdict is Verdict.KEPT
    encode = Encoder._encode

    def careless(self: Encoder, text: str) -> list[int]:
        self.tokenizer.encode_special_tokens = False
        self._cuts = re.compile("(?!)")
        return encode(self, text)

    monkeypatch.setattr(Encoder, "_encode", careless)
    result = result_of("control_tokens", model)
    assert result.verdict is Verdict.BROKEN
    assert "<|im_end|>" in result.found.en


def test_without_a_model_of_ours_there_is_no_prompt_to_command(settings: Settings) -> None:
    assert result_of("control_tokens", settings).verdict is Verdict.NOT_HERE


def test_a_service_that_is_not_sealed_says_so(settings: Settings) -> None:
    (result,) = run([BY_NAME["egress"]], settings, Sealer(b"k" * 32), in_service=True)
    assert result.verdict is Verdict.NOT_HERE
    assert "--sealed" in result.found.en


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


def test_a_check_that_hangs_ends_the_start_with_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, given_up = threading.Event(), threading.Event()

    def hang(_: Context) -> Sentence:
        hangs.set()
        given_up.wait(120)
        return Sentence("Too late.", "太晚了。")

    monkeypatch.setattr(profile, "PROMISES", [BY_NAME["ciphers"], _promise(hang), BY_NAME["ciphers"]])

    class Later(Future[None]):
        """Its time begins when the check hangs, however long those before it took."""

        def result(self, timeout: float | None = None) -> None:
            assert hangs.wait(60)
            super().result(timeout)

    monkeypatch.setattr(profile, "Future", Later)
    monkeypatch.setattr(profile, "_PROVE_S", 0.3)
    there = settings.model_copy(update={"profile": "mlps3"})
    try:
        with pytest.raises(
            ConfigError, match=r"did not end in 0 s.* It was trying: It holds\. Details"
        ) as error:
            profile.prove_promises(there, Sealer(b"k" * 32))
    finally:
        given_up.set()
        for thread in threading.enumerate():
            if thread.name == "selftest":
                thread.join(30)
    assert error.value.param == "selftest"


def test_what_a_check_writes_is_gone_afterwards(settings: Settings) -> None:
    seen: list[Path] = []

    def write(context: Context) -> Sentence:
        (context.folder / "something").write_text("canary")
        seen.append(context.folder)
        return Sentence("Written.", "已写入。")

    run([_promise(write)], settings, Sealer(b"k" * 32))
    assert not seen[0].exists()
    assert list(settings.data_dir.iterdir()) == []
