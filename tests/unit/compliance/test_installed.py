"""A file that is not what was installed is named."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from tests.unit.compliance.installation import install
from vlpro.compliance.installed import added_files, packages


def test_a_package_is_what_its_record_says(tmp_path: Path) -> None:
    install(tmp_path, "Some.Thing", "1.2", {"some/a.py": "x = 1\n", "some/native.so": "ELF"})
    (found,) = packages([str(tmp_path)])
    assert (found.key, found.version, found.altered, found.files) == ("some-thing", "1.2", (), 5)
    assert list(found.binaries) == ["some/native.so"]


def test_every_file_that_was_changed_is_named(tmp_path: Path) -> None:
    files = install(tmp_path, "one", "1", {"one/a.py": "x = 1\n", "one/b.so": "ELF", "one/c.py": ""})
    files["one/a.py"].write_text("x = 2\n")
    files["one/b.so"].unlink()
    files["one/c.py"].unlink()
    files["one/c.py"].mkdir()
    (found,) = packages([str(tmp_path)])
    assert sorted(found.altered) == [
        ("one/a.py", "altered"),
        ("one/b.so", "missing"),
        ("one/c.py", "unreadable"),
    ]
    assert found.binaries == {}


def test_a_line_of_the_record_without_a_hash_proves_nothing(tmp_path: Path) -> None:
    record = install(tmp_path, "one", "1", {"one/a.py": "x"})["one-1.dist-info/RECORD"]
    lines = record.read_text().splitlines()
    record.write_text("\n".join("one/a.py,," if line.startswith("one/a.py") else line for line in lines))
    (found,) = packages([str(tmp_path)])
    assert found.altered == (("one/a.py", "without a hash"),)


def test_caches_of_the_interpreter_are_not_the_packages_content(tmp_path: Path) -> None:
    record = install(tmp_path, "one", "1")["one-1.dist-info/RECORD"]
    record.write_text(
        record.read_text() + "one/__pycache__/__init__.cpython-311.pyc,,\n../../bin/one.pyc,,\n"
    )
    (found,) = packages([str(tmp_path)])
    assert found.altered == ()


def test_without_a_record_nothing_can_be_said(tmp_path: Path) -> None:
    install(tmp_path, "one", "1")["one-1.dist-info/RECORD"].unlink()
    (found,) = packages([str(tmp_path)])
    assert (found.record_sha256, found.files) == ("", 0)


def test_what_python_could_run_and_no_package_brings_is_named(tmp_path: Path) -> None:
    install(tmp_path, "one", "1", {"one/a.py": "", "../bin/one": "#!"})
    assert added_files([str(tmp_path)]) == []
    for name in ("evil.pth", "one/extra.py", "one/_speed.cpython-311-x86_64-linux-gnu.so"):
        (tmp_path / name).write_text("import os")
    (tmp_path / "README").write_text("read")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("")
    named = ["evil.pth", "one/_speed.cpython-311-x86_64-linux-gnu.so", "one/extra.py"]
    assert added_files([str(tmp_path)]) == named


def test_licences_are_told_as_the_metadata_has_them(tmp_path: Path) -> None:
    install(tmp_path, "a", "1", License_Expression="MIT OR Apache-2.0")
    install(tmp_path, "b", "1", Classifier="License :: OSI Approved :: BSD License", License="BSD")
    install(tmp_path, "c", "1", License="Own words")
    install(tmp_path, "d", "1")
    told = [(one.licence, one.is_expression) for one in packages([str(tmp_path)])]
    assert told == [("MIT OR Apache-2.0", True), ("BSD License", False), ("Own words", False), ("", False)]


def test_this_very_installation_is_seen_whole() -> None:
    names = {one.metadata["Name"] for one in importlib.metadata.distributions()}
    assert {"streamlit", "cryptography", "openvino"} <= names
