"""A report that was tampered with is refused, and the first wrong file named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import altered
from tests.unit.compliance.reports import ID, KEYS, SEALER, made, results
from vlpro.audit.checkpoint import CHECKPOINT
from vlpro.compliance import report_store
from vlpro.compliance.clause import Verdict
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.compliance.report_signature import Keys, signature_of, signer_of
from vlpro.compliance.report_store import ReportStore
from vlpro.compliance.report_verify import verify
from vlpro.crypto import Sealer
from vlpro.errors import NotFoundError, VlproError

THIEF = Sealer(bytes(32))
FILES = (
    "evidence/gpu_cleared.json",
    "evidence/idle.json",
    "evidence/lockout.json",
    "evidence/password_rules.json",
    "report.html",
    "report.json",
    "report.pdf",
    "report.sig",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("reports")
    made(where, results(Verdict.FAIL))
    return where / ID


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / ID))


def wrong(folder: Path, keys: Keys = KEYS) -> ReportVerificationError:
    """What verification finds."""
    with pytest.raises(ReportVerificationError) as found:
        verify(folder, keys)
    assert found.value.file in found.value.diagnostics()
    assert found.value.file in found.value.diagnostics(chinese=True)
    return found.value


def test_what_was_written_verifies(folder: Path) -> None:
    found = verify(folder, KEYS)
    assert (found.content["id"], found.files, found.signed.sm2) == (ID, len(FILES), "none")
    assert found.signed.key == KEYS.ed25519[0].hex()


@pytest.mark.parametrize("name", FILES)
def test_one_byte_is_changed(folder: Path, name: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert wrong(folder).file == name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_cut(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-3])
    assert wrong(folder).file == name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_removed(folder: Path, name: str) -> None:
    (folder / name).unlink()
    found = wrong(folder)
    assert found.file == name
    assert "missing" in str(found)


@pytest.mark.parametrize("name", ["evidence/more.json", "readme.txt", "evidence/deep/x", "empty/"])
def test_a_file_is_added(folder: Path, name: str) -> None:
    path = folder / name
    if name.endswith("/"):
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    assert wrong(folder).file == name.rstrip("/") or name.startswith(f"{wrong(folder).file}/")


def test_evidence_of_two_checks_is_swapped(folder: Path) -> None:
    one, two = folder / FILES[1], folder / FILES[2]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    found = wrong(folder)
    assert found.file == FILES[1]
    assert found.expected != found.found


def resigned(folder: Path, change: Callable[[dict[str, object]], None], sealer: Sealer) -> None:
    """Change ``report.json`` and sign it anew."""
    content = json.loads((folder / "report.json").read_bytes())
    change(content)
    data = json.dumps(content).encode()
    (folder / "report.json").write_bytes(data)
    (folder / "report.sig").write_bytes(signature_of(signer_of(sealer, gm=False), ID, data, 1.0))


def test_somebody_signs_with_another_key(folder: Path) -> None:
    resigned(folder, lambda content: content.update(by="nobody"), THIEF)
    found = wrong(folder)
    assert found.file == "report.sig"
    assert found.expected == KEYS.ed25519[0].hex()
    assert verify(folder, Keys([signer_of(THIEF, gm=False).public])).content["by"] == "nobody"


def test_the_trusted_key_is_named_beside_a_signature_of_another(folder: Path) -> None:
    file = json.loads((folder / "report.sig").read_bytes())
    data = (folder / "report.json").read_bytes()
    forged = json.loads(signature_of(signer_of(THIEF, gm=False), ID, data, 1.0))
    (folder / "report.sig").write_text(json.dumps(file | {"signature": forged["signature"]}))
    assert "wrong signature" in str(wrong(folder))


def test_a_signature_of_another_kind_does_not_count(folder: Path) -> None:
    """The same key signs checkpoints of the audit."""
    signer = signer_of(SEALER, gm=False)
    statement = json.loads((folder / "report.sig").read_bytes())["statement"]
    said = {name: value for name, value in json.loads(statement).items() if name != "key"}
    data, signature = signer.state(CHECKPOINT, said)
    assert data.decode() == statement
    (folder / "report.sig").write_text(json.dumps({"statement": statement, "signature": signature.hex()}))
    assert wrong(folder).file == "report.sig"


def test_the_signature_of_an_earlier_report_is_put_beside_a_later_one(folder: Path) -> None:
    data = b'{"id": "cr_ffffffffffffffff"}'
    earlier = signature_of(signer_of(SEALER, gm=False), "cr_ffffffffffffffff", data, 1.0)
    (folder / "report.sig").write_bytes(earlier)
    assert wrong(folder).file == "report.json"


def test_a_report_that_contradicts_itself_is_refused_although_it_is_signed(folder: Path) -> None:
    def better(content: dict[str, object]) -> None:
        clauses = content["clauses"]
        assert isinstance(clauses, list)
        clauses[1]["verdict"] = "pass"
        content["totals"] = {"pass": 2, "fail": 0, "not_evaluated": 1, "outside": 1}

    resigned(folder, better, SEALER)
    assert wrong(folder).file == "report.json"


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "evidence/../../secret"])
def test_a_report_names_no_file_outside_of_its_folder(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("x")

    def outside(content: dict[str, object]) -> None:
        files = content["files"]
        assert isinstance(files, dict)
        files[name] = {"sha256": "00"}

    resigned(folder, outside, SEALER)
    assert wrong(folder).file == "report.json"


@pytest.mark.parametrize("name", ["report.html", "evidence/idle.json", "report.sig"])
def test_a_link_is_no_file(folder: Path, name: str) -> None:
    path = folder / name
    outside = folder.parent / "copy"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    assert wrong(folder).file == name


def test_a_link_is_no_folder_of_evidence(folder: Path) -> None:
    shutil.move(folder / "evidence", folder.parent / "elsewhere")
    (folder / "evidence").symlink_to(folder.parent / "elsewhere")
    assert wrong(folder).file.startswith("evidence")


def test_a_pipe_does_not_stop_the_verifier(folder: Path) -> None:
    (folder / "report.html").unlink()
    os.mkfifo(folder / "report.html")
    assert wrong(folder).file == "report.html"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"statement": 1}', b"[" * 100_000, b"\xff"])
def test_a_signature_that_is_none_is_told_as_that(folder: Path, data: bytes) -> None:
    (folder / "report.sig").write_bytes(data)
    assert wrong(folder).file == "report.sig"


def test_an_sm2_signature_is_checked_and_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_store, "written", lambda *_: b"%PDF")
    made(tmp_path, crypto="gm")
    folder, signer = tmp_path / ID, signer_of(SEALER, gm=True)
    assert verify(folder, Keys(KEYS.ed25519, [signer.sm2])).signed.sm2 == "right"
    assert "not trusted" in str(wrong(folder, Keys(KEYS.ed25519, [signer_of(THIEF, gm=True).sm2])))
    path = folder / "report.sig"
    file = json.loads(path.read_bytes())
    path.write_text(json.dumps({name: value for name, value in file.items() if name != "sm2"}))
    assert "SM2" in str(wrong(folder))
    path.write_text(json.dumps(file | {"sm2": altered(file["sm2"])}))
    assert "SM2" in str(wrong(folder))
    path.write_text(json.dumps(file))
    monkeypatch.setattr("vlpro.audit.sm2.why_not", lambda: ("no openssl", ""))
    assert verify(folder, KEYS).signed.sm2 == "unchecked"


# --- the service's own


def test_a_store_gives_out_only_what_verifies(folder: Path) -> None:
    store = ReportStore(folder.parent, KEYS)
    assert store.file(ID, "report.html") == (folder / "report.html").read_bytes()
    (folder / "evidence/idle.json").write_text("{}")
    with pytest.raises(VlproError, match=r"evidence/idle\.json") as found:
        store.file(ID, "report.html")
    assert found.value.code == "integrity_error"


def test_a_store_lists_what_was_altered_as_that(folder: Path) -> None:
    store = ReportStore(folder.parent, KEYS)
    last = store.last()
    assert last is not None
    assert last["id"] == ID
    (folder / "report.json").write_text("{}")
    (found,) = store.listed(10)
    assert isinstance(found, ReportVerificationError)
    assert found.report == ID
    assert store.last() is None


def test_a_report_under_the_name_of_another_is_refused(folder: Path) -> None:
    other = "cr_ffffffffffffffff"
    folder.rename(folder.parent / other)
    with pytest.raises(VlproError, match="another report"):
        ReportStore(folder.parent, KEYS).open(other)


@pytest.mark.parametrize("name", ["..", "cr_0123456789abcdeg", "", "cr_ffffffffffffffff", f"{ID}/.."])
def test_no_other_folder_is_opened(folder: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        ReportStore(folder.parent, KEYS).open(name)


@pytest.mark.parametrize("name", ["evidence/idle.json", "../key", "report.txt", ""])
def test_no_other_file_is_given_out(folder: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        ReportStore(folder.parent, KEYS).file(ID, name)


def test_the_archive_is_the_folder(folder: Path, tmp_path: Path) -> None:
    data = ReportStore(folder.parent, KEYS).file(ID, "report.zip")
    (tmp_path / "r.zip").write_bytes(data)
    shutil.unpack_archive(tmp_path / "r.zip", tmp_path / "unpacked")
    assert verify(tmp_path / "unpacked" / ID, KEYS).files == len(FILES)
