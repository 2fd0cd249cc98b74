"""``vlpro selftest`` as an administrator runs it, and the start that it stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.company import settings_of
from vlpro.errors import ConfigError
from vlpro.gateway.app import parts

ROOT = Path(__file__).parents[2]


def selftest(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    return subprocess.run(
        [sys.executable, "-m", "vlpro", "selftest", *arguments],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_promise_is_printed_with_what_was_tried(tmp_path: Path) -> None:
    done = selftest(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = {said["name"]: said for said in map(json.loads, done.stdout.splitlines())}
    assert {name for name, said in found.items() if said["verdict"] == "broken"} == set()
    assert {"audit_first", "audit_chain", "conversations", "pictures", "egress"} <= {
        name for name, said in found.items() if said["verdict"] == "kept"
    }
    assert found["egress"]["found"]["en"].count("TCP") >= 3


def test_a_broken_promise_is_told_to_people_and_to_scripts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    done = selftest(tmp_path, LANG="zh_CN.UTF-8")
    assert done.returncode == 1
    assert "[未通过] 数据文件夹只属于本服务。" in done.stdout
    assert "chmod 700" in done.stderr
    assert done.stdout.count("[通过]") >= 8, "one broken promise hides no other"


def test_profile_mlps3_serves_nobody_while_a_promise_is_broken(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    with pytest.raises(ConfigError) as refused:
        parts(settings)
    assert "The data belongs to the service alone." in refused.value.message
    settings.data_dir.chmod(0o700)
    assert parts(settings)["routes"]
