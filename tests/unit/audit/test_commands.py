"""``vlpro audit …`` as an administrator types it."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support import altered
from tests.unit.audit.victim import entry
from vlpro.audit.place import audit_database_url, audit_sealer
from vlpro.audit.service import open_log
from vlpro.audit.tables import records
from vlpro.commands.app import main
from vlpro.crypto import make_key_file
from vlpro.db import Database
from vlpro.errors import ConfigError


class Machine:
    """A machine with a log, and its terminal."""

    def __init__(self, folder: Path, terminal: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._terminal = terminal
        self.database = Database(audit_database_url(data_dir=folder / "data"))

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        self._terminal.readouterr()
        status = main(["audit", *map(str, arguments)])
        out, err = self._terminal.readouterr()
        return status, out, re.sub(r"\d+ %\n", "", err)

    def edit(self, seq: int) -> None:
        """Alter a record."""
        with self.database.write() as connection:
            connection.execute(sa.update(records).where(records.c.seq == seq).values(data=b"{}"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    """Twenty-five records of long ago, on a machine in profile local."""
    for name in [name for name in os.environ if name.startswith("VLPRO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("VLPRO_AUDIT_COPY", str(tmp_path / "copies"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return filled(Machine(tmp_path, capsys))


def filled(made: Machine, *, gm: bool = False) -> Machine:
    sealer = audit_sealer(profile="local", data_dir=made.folder / "data", make=True)
    since = time.monotonic()

    def clock() -> float:  # of long ago, but it goes: else a machine that stalls would make it jump
        return 1.6e9 + time.monotonic() - since

    log = open_log(made.database, sealer, gm=gm, every_records=10, copy=made.folder / "copies", clock=clock)
    log.start()
    for number in range(24):
        log.record(entry(number))
    log.stop()
    return made


def test_verify_says_what_is_whole_and_what_is_not(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = machine.run("verify")
    assert (status, err) == (0, "")
    assert "Audit records 1 to 25 are whole and unaltered" in out
    assert "3 copies of checkpoints kept elsewhere agree." in out
    machine.edit(7)
    status, out, err = machine.run("verify")
    assert (status, out) == (1, "")
    assert "record 7: its bytes are no record" in err
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "第 7 条记录：内容无法解析为记录" in machine.run("verify")[2]


def test_removed_copies_are_told(machine: Machine) -> None:
    (machine.folder / "copies").unlink()
    status, _, err = machine.run("verify")
    assert status == 1
    assert "no copies of checkpoints" in err
    status, _, err = machine.run("verify", "--copies", machine.folder / "other")
    assert status == 1
    assert "cannot be read" in err


def test_keys_are_given_or_found(machine: Machine) -> None:
    _, key, _ = machine.run("key")
    assert re.fullmatch(r"[0-9a-f]{64}\n", key)
    (machine.folder / "data" / "key").unlink()
    assert machine.run("verify")[0] == 1
    assert machine.run("verify", "--key", key.strip())[0] == 0
    status, _, err = machine.run("verify", "--key", "00" * 32)
    assert status == 1
    assert "not trusted" in err
    assert machine.run("verify", "--key", "00" * 32, "--key", key.strip())[0] == 0
    assert "64 or 130 hexadecimal digits" in machine.run("verify", "--key", "abc")[2]
    assert not (machine.folder / "data" / "key").exists()


def test_signatures_with_sm2(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(machine, gm=True)
    verifier = Path(__file__).parents[3] / "deploy" / "audit" / "verify_proof.py"
    status, _, err = machine.run("export", "--output", machine.folder / "x.jsonl")
    assert (status, "service's own settings" in err) == (1, True)
    assert "SM2 signatures are right" in machine.run("verify")[1]  # by the key that the log names
    monkeypatch.setenv("VLPRO_CRYPTO", "gm")
    key, sm2 = machine.run("key")[1].split()
    assert (len(key), len(sm2), sm2[:2]) == (64, 130, "04")
    assert "SM2 signatures are right" in machine.run("verify")[1]
    assert "SM2 signatures are right" in machine.run("verify", "--key", key, "--key", sm2)[1]
    status, _, err = machine.run("verify", "--key", altered(sm2))
    assert (status, "by an SM2 key that is not trusted" in err) == (1, True)
    proof = machine.folder / "proof.json"
    assert machine.run("prove", "40", "--output", proof)[0] == 0
    command = [sys.executable, "-I", str(verifier), str(proof), key]
    assert b"RIGHT: record 40" in subprocess.run(command, check=True, capture_output=True).stdout
    assert machine.run("export", "--output", machine.folder / "x.jsonl")[0] == 0
    assert "SM2 signatures are right" in machine.run("verify", "--export", machine.folder / "x.jsonl")[1]
    (machine.folder / "bin").mkdir()
    with monkeypatch.context() as without:
        without.setenv("PATH", str(machine.folder / "bin"))
        status, out, _ = machine.run("verify", "--key", key)
        assert status == 0
        assert "SM2 signatures were NOT checked: there is no openssl on this machine" in out
        assert "are right" not in out
        status, out, _ = machine.run("verify")
        assert (status, "NOT checked" in out) == (0, True)


def test_export_and_verify_the_file(machine: Machine) -> None:
    path = machine.folder / "all.jsonl"
    status, out, _ = machine.run("export", "--output", path)
    assert status == 0
    assert "records 1 to 26" in out  # that it was exported is on the record, first
    assert path.stat().st_mode & 0o777 == 0o600
    assert '"audit:log:exported"' in json.loads(path.read_text().splitlines()[-2])["record"]
    assert "1 to 26" in machine.run("verify", "--export", path, "--copies", machine.folder / "copies")[1]
    part = machine.folder / "part.jsonl"
    assert machine.run("export", "--output", part, "--from", "12", "--to", "21")[0] == 0
    out = machine.run("verify", "--export", part)[1]
    assert "Audit records 12 to 21" in out
    assert "the records before it are not in it" in out
    path.write_text(path.read_text().replace("msg_12", "msg_21"), encoding="utf-8")
    status, _, err = machine.run("verify", "--export", path)
    assert status == 1
    assert "record 14: " in err
    assert machine.run("export", "--output", part, "--from", "99")[0] == 1
    assert machine.run("export", "--output", machine.folder / "none" / "x")[0] == 1
    assert sorted(one.name for one in machine.folder.iterdir()) == [
        "all.jsonl",
        "copies",
        "data",
        "part.jsonl",
    ]


def test_prove_a_record(machine: Machine) -> None:
    path = machine.folder / "proof.json"
    status, out, _ = machine.run("prove", "7", "--output", path)
    assert status == 0
    assert "verify_proof.py" in out
    assert json.loads(path.read_text())["seq"] == 7
    assert json.loads(machine.run("prove", "7", "--since", "11")[1])["since"]["path"]
    status, _, err = machine.run("prove", "99")
    assert status == 1
    assert "no audit record 99" in err


def test_programs_are_answered_in_json(machine: Machine) -> None:
    def answer(*arguments: str | Path) -> dict[str, object]:
        status, out, _ = machine.run(*arguments, "--json")
        assert status == 0
        said: dict[str, object] = json.loads(out)
        return said

    found = answer("verify")
    assert (found["first"], found["last"], found["copies"], found["archived_unread"]) == (1, 25, 3, 0)
    assert re.fullmatch("[0-9a-f]{64}", str(found["root"]))
    key = answer("key")["ed25519"]
    proof, part = machine.folder / "proof.json", machine.folder / "part.jsonl"
    assert answer("prove", "7", "--output", proof) == {
        "output": str(proof),
        "seq": 7,
        "size": 11,
        "key": key,
    }
    exported = answer("export", "--output", part, "--from", "3", "--to", "9")
    assert (exported["output"], exported["first"], exported["last"]) == (str(part), 3, 9)
    made = answer("archive")
    assert [Path(name).parent for name in made["archives"]] == [Path("data/archives")]  # type: ignore[attr-defined]
    assert made["days"] == 365


def test_archive_and_verify_with_and_without_the_files(machine: Machine) -> None:
    status, _, err = machine.run("archive", "--days", "179")
    assert status == 1
    assert "180 days at least" in err
    status, out, _ = machine.run("archive")
    folder = machine.folder / "data" / "archives"
    assert status == 0
    assert "1 archives; records of the last 365 days stay" in out
    assert [path.name for path in folder.iterdir()] == ["audit-000000000001-000000000021.jsonl.gz"]
    out = machine.run("verify")[1]
    assert "Records 1 to 21 are in 1 archives and were not verified" in out
    out = machine.run("verify", "--archives", folder)[1]
    assert "Audit records 1 to 26 are whole" in out
    assert json.loads(machine.run("prove", "7", "--archives", folder)[1])["seq"] == 7
    assert machine.run("prove", "7")[0] == 1
    assert machine.run("verify", "--archives", machine.folder / "none")[0] == 1
    assert "-000000000022-000000000025" in machine.run("archive")[1]  # which was the last part until then
    assert "There is no whole part" in machine.run("archive")[1]
    path = min(folder.iterdir())
    path.chmod(0o600)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"msg_3", b"msg_4")))
    status, _, err = machine.run("verify", "--archives", folder)
    assert status == 1
    assert "record 5: " in err


def test_another_database_is_only_read(machine: Machine, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    machine.database.close()
    copy.write_bytes((tmp_path / "data" / "audit.db").read_bytes())
    assert machine.run("verify", "--database", f"sqlite:///{copy}")[0] == 0
    assert (
        "1 to 25" in machine.run("export", "--database", f"sqlite:///{copy}", "--output", tmp_path / "x")[1]
    )
    status, _, err = machine.run("verify", "--database", f"sqlite:///{tmp_path / 'none.db'}")
    assert status == 1
    assert "There is no audit database at" in err
    assert not (tmp_path / "none.db").exists()


def test_nothing_recorded_yet(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLPRO_AUDIT_COPY")
    (tmp_path / "empty.db").touch()
    status, _, err = machine.run("verify", "--database", f"sqlite:///{tmp_path / 'empty.db'}")
    assert status == 1
    assert "no audit records" in err


# --- where things are


def test_where_the_database_is(tmp_path: Path) -> None:
    own = f"sqlite:///{tmp_path / 'audit.db'}"
    assert audit_database_url(data_dir=tmp_path) == own
    assert audit_database_url(data_dir=tmp_path, database_url="sqlite:///x.db") == own
    assert audit_database_url(data_dir=tmp_path, database_url="postgresql://h/x") == "postgresql://h/x"
    assert audit_database_url(
        data_dir=tmp_path, database_url="postgresql://h/x", audit_database_url="postgresql://h/y"
    ) == ("postgresql://h/y")


def test_where_the_key_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        audit_sealer(profile="local", data_dir=tmp_path)
    made = audit_sealer(profile="local", data_dir=tmp_path, make=True)
    assert audit_sealer(profile="local", data_dir=tmp_path, make=True).signing_seed == made.signing_seed
    with pytest.raises(ConfigError):
        audit_sealer(profile="mlps3", data_dir=tmp_path)
    with pytest.raises(ConfigError, match="inside the data folder"):
        audit_sealer(profile="mlps3", data_dir=tmp_path, key_file=tmp_path / "key")
    (tmp_path / "data").mkdir()
    make_key_file(tmp_path / "key2")
    mlps3 = audit_sealer(profile="mlps3", data_dir=tmp_path / "data", key_file=tmp_path / "key2")
    assert mlps3.signing_seed != made.signing_seed
