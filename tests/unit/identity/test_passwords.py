from __future__ import annotations

import threading

import pytest

from tests.people import cheap
from vlpro.errors import BusyError
from vlpro.identity import passwords
from vlpro.identity.passwords import PasswordProblem, Passwords, one_time_password, problems
from vlpro.identity.policy import Policy

ABOUT = ("liwei", "李文静", "qwen", "vlpro")


@pytest.mark.parametrize(
    ("password", "rules"),
    [
        ("", ["length", "classes"]),
        ("Short-1", ["length"]),
        ("only lower case letters", ["classes"]),
        ("Password123!", ["guessable"]),
        ("Qwertyuiop1!", ["guessable"]),
        ("Woaini1314!!", ["guessable"]),
        ("Liwei-2026-Sommer-Feld", ["contains"]),
        ("x李文静Y-77-abcdef", ["contains"]),
        ("A" * 64 + "a1" * 33, ["long"]),
        ("Kupfer-47-Wolke-fern", []),
        ("铜云47-Wolke-fern", []),
    ],
)
def test_rules(password: str, rules: list[str]) -> None:
    assert [problem.rule for problem in problems(password, Policy(), ABOUT)] == rules


def test_the_numbers_are_the_policys() -> None:
    policy = Policy(password_min_length=24, password_classes=4)
    assert problems("Kupfer-Wolke-fern", policy, ABOUT) == [
        PasswordProblem("length", 24),
        PasswordProblem("classes", 4),
    ]


def test_a_hash_is_argon2id_with_salt() -> None:
    hasher = Passwords()
    one, two = hasher.hash("x"), hasher.hash("x")
    assert one != two
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hasher.matches(one, "x")
    assert not hasher.matches(one, "y")
    assert not hasher.matches(None, "x")
    assert not hasher.matches("not a hash", "x")


def test_only_so_many_hashes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_WAIT_S", 0.05)
    hasher = Passwords(memory_kib=64, at_once=1)
    running, go_on = threading.Event(), threading.Event()

    class Slow:
        def verify(self, *_: object) -> bool:
            running.set()
            return go_on.wait(60)

    monkeypatch.setattr(hasher, "_hasher", Slow())
    first = threading.Thread(target=hasher.matches, args=("h", "x"))
    first.start()
    assert running.wait(60)
    with pytest.raises(BusyError):
        hasher.matches("h", "x")
    go_on.set()
    first.join()
    assert hasher.matches("h", "x")


def test_one_time_passwords_pass_the_rules() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert all(problems(password, Policy(), ABOUT) == [] for password in list(made)[:20])
    assert cheap().matches(None, "x") is False
