"""What a command says where there is nothing to work on; and that looking makes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlpro.commands.app import main


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that somebody mistyped."""
    monkeypatch.setenv("VLPRO_DATA_DIR", str(tmp_path / "mistyped"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mistyped"


@pytest.mark.parametrize(
    "line",
    [
        "key status",
        "key rotate",
        "key reseal",
        "key retire 0011",
        "audit verify",
        "audit prove 1",
        "audit key",
        "comply prune --keep 3",
        "comply verify .",
        "backup --to .",
    ],
)
def test_in_a_folder_where_nothing_is_nothing_is_made(
    line: str, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key of its own would look as if all were well, and nothing were stored."""
    assert main(line.split()) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Is VLPRO_DATA_DIR right?" in said.err
    assert said.err.count("\n") == 1
    assert not nowhere.exists()


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("model report none", 1, "none cannot be read: No such file or directory. Name the file that"),
        ("model report none --key x", 2, "--key is no hexadecimal number."),
        ("comply verify none", 1, "There is no folder none. Name that of a report"),
        ("comply diff none .", 1, "There is no folder none. Name that of a report"),
        ("advisories none", 1, "There is no none. Name OSV's export for PyPI"),
        ("audit ship --json", 2, "--json belongs to --check."),
        ("audit ship --once --check", 2, "Give either --once or --check."),
        ("serve --port 1 --socket x", 2, "Give either --port or --socket."),
        (
            f"audit verify --export none --key {'00' * 32}",
            1,
            "none cannot be read: No such file or directory",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(
    line: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert "Errno" not in said.err
