from __future__ import annotations

import logging
import threading
import time

import pytest

from vlpro.errors import DirectoryUnavailableError
from vlpro.identity.directories.interface import DirectoryPerson, PasswordDirectory, person

LI = DirectoryPerson("ldap", "1", "li", "Li", "", frozenset())


class Fake(PasswordDirectory):
    """Answers what it is told to, and notes what it was asked; where it hangs, once it is released."""

    name = "fake"

    def __init__(self, answer: DirectoryPerson | Exception | None = LI, *, hangs: bool = False) -> None:
        super().__init__(timeout_s=0.3 if hangs else 60)
        self.asked: list[str] = []
        self.released = threading.Event()
        if not hangs:
            self.released.set()
        self._answer = answer

    def _check(self, login: str, password: str, deadline: float) -> DirectoryPerson | None:
        self.asked.append(login)
        self.released.wait(120)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_what_the_directory_says() -> None:
    assert Fake().check("li", "secret") == LI
    assert Fake(None).check("li", "secret") is None


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("li", ""),
        ("", "secret"),
        ("li\r", "secret"),
        ("l" * 257, "secret"),
        ("li", "s" * 1025),
        ("li", "\ud800"),
    ],
)
def test_what_is_senseless_is_refused_before_anybody_is_asked(login: str, password: str) -> None:
    fake = Fake()
    assert fake.check(login, password) is None
    assert fake.asked == []


def test_what_is_unusual_is_asked() -> None:
    fake = Fake()
    for login, password in [("l" * 256, "s" * 1024), ("李文静", "静 "), ("EXAMPLE\\li", "\t"), ("𰻞", "x")]:
        assert fake.check(login, password) == LI
    assert len(fake.asked) == 4


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("a"),
        OSError("b"),
        RecursionError("c"),
        TimeoutError(),
        DirectoryUnavailableError("Own words."),
    ],
)
def test_whatever_goes_wrong_is_one_error(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DirectoryUnavailableError) as caught:
        Fake(problem).check("li", "a secret")
    assert caught.value.code == "directory_unavailable"
    if not isinstance(problem, DirectoryUnavailableError):
        assert "directory fake" in caplog.text
    assert "a secret" not in caplog.text


def test_what_is_logged_is_short_and_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(DirectoryUnavailableError):
        Fake(OSError("x\n" * 10_000)).check("li", "secret")
    assert len(caplog.records) == 1
    assert len(caplog.records[0].getMessage()) < 400
    assert "\n" not in caplog.records[0].getMessage()


def test_a_slow_directory_is_not_waited_for() -> None:
    fake = Fake(hangs=True)
    begin = time.monotonic()
    with pytest.raises(DirectoryUnavailableError):
        fake.check("li", "secret")
    assert time.monotonic() - begin < 60
    fake.released.set()
    fake.close()


def test_more_at_once_than_allowed_wait_within_their_time() -> None:
    fake = Fake(hangs=True)
    failed: list[Exception] = []

    def check() -> None:
        try:
            fake.check("li", "secret")
        except DirectoryUnavailableError as error:
            failed.append(error)

    held = [
        fake._threads.submit(fake._check, "li", "secret", 0.0) for _ in range(8)
    ]  # with all time of the world
    deadline = time.monotonic() + 60
    while len(fake.asked) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    threads = [threading.Thread(target=check) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(failed), len(fake.asked)) == (12, 8)
    fake.released.set()
    assert [one.result(60) for one in held] == [LI] * 8
    assert len(fake.asked) == 8
    fake.close()


def test_what_is_shown_is_cleaned_and_what_decides_is_taken_as_it_is() -> None:
    made = person(
        "oidc",
        subject="i|s",
        login="li",
        name=" Li\n\u202eEvil " + "x" * 500,
        department="\0",
        groups=["a b"],
    )
    assert made == DirectoryPerson("oidc", "i|s", "li", made.name, "", frozenset({"a b"}))
    assert made.name.startswith("Li  Evil xxx")
    assert len(made.name) <= 256
    assert person("ldap", subject="s", login="li").name == "li"


@pytest.mark.parametrize(
    "values",
    [
        {"subject": ""},
        {"subject": "s" * 1025},
        {"subject": "s\n"},
        {"login": ""},
        {"login": "l" * 257},
        {"login": "l\u2028"},
        {"groups": [""]},
        {"groups": ["g" * 257]},
        {"groups": ["a\nb"]},
        {"groups": [str(number) for number in range(2001)]},
    ],
)
def test_a_person_that_cannot_be_taken(values: dict[str, object]) -> None:
    usual: dict[str, object] = {"subject": "s", "login": "li"}
    with pytest.raises(ValueError, match=r"person|group"):
        person("ldap", **usual | values)  # type: ignore[arg-type]
