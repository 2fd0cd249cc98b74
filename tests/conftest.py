"""What all tests share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import hypothesis
import pytest

from tests.postgresql import BINARIES, Cluster, cluster, with_pgvector
from vlpro import logs
from vlpro.db import sqlite_url

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers side by side: with a core each they take half the time that they take with all cores each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine that stalls is no failure; and where everything was installed, a change passes or fails by itself, not by
# what was drawn this time.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="VLPRO_FORBID_SKIPS" in os.environ,
)
hypothesis.settings.load_profile("tests")

# Accounts other than the tests' own, such as PostgreSQL's, read what tests lay out for them.
_UMASK = 0o022
os.umask(_UMASK)


@pytest.fixture(autouse=True)
def umask_stays() -> Iterator[None]:
    """What a test does in this process leaves the files of later tests as they are."""
    yield
    found = os.umask(_UMASK)
    assert found == _UMASK, f"the test left the umask at {found:04o}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_lines_between_tests(pytestconfig: pytest.Config) -> Iterator[None]:
    """What a service in a thread logs when pytest takes no output is dropped.

    It logs a request after the answer, which may be after the test that asked; pytest has then given standard error
    back to the terminal, to write its dots there.
    """
    if pytestconfig.getoption("capture") == "no":
        yield
        return

    def emit(handler: logging.Handler, record: logging.LogRecord) -> None:
        if (taken := sys.stderr) is not sys.__stderr__:
            line = handler.format(record)
            with suppress(ValueError):  # closed with the test that asked for it
                taken.write(line + "\n")

    with mock.patch.object(logs._Handler, "emit", emit):
        yield


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small Qwen3-VL of random weights: senseless, and so without any error that meaning would hide."""
    torch = pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
    transformers = pytest.importorskip(
        "transformers", reason="the packages of the extra qwen are not installed"
    )
    from tests.seeing.model import export, make_config, make_tokenizer  # noqa: PLC0415 - it needs both

    made = tmp_path_factory.mktemp("random")
    tokenizer = make_tokenizer()
    torch.manual_seed(5)
    config = transformers.Qwen3VLConfig(**make_config(len(tokenizer)))
    export(transformers.Qwen3VLForConditionalGeneration(config), tokenizer, made)
    return made


_RIGHTS = (
    "needs root", "needs network namespaces", "this machine mounts no file", "this machine mounts no control groups",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything that tests need was installed (``VLPRO_FORBID_SKIPS``), a skipped test is a failure.

    Rights that the machine does not give are no part that could be installed.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reasons = [str(report.longrepr) for report in reporter.stats.get("skipped", ())]
    skipped = sum(not any(words in reason for words in _RIGHTS) for reason in reasons)
    if os.environ.get("VLPRO_FORBID_SKIPS") and skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{skipped} tests were skipped, and VLPRO_FORBID_SKIPS allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def pgvector() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own, with pgvector."""
    installed = with_pgvector()
    if installed is None:
        pytest.skip("no PostgreSQL with pgvector here: make dev")
    with cluster(installed=installed) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind that the product runs on."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: Cluster = request.getfixturevalue("postgresql")
    return server.new()
