"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the product does."""
    return "asyncio"


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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything that tests need was installed (``VLPRO_FORBID_SKIPS``), a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = len(reporter.stats.get("skipped", ()))
    if os.environ.get("VLPRO_FORBID_SKIPS") and skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{skipped} tests were skipped, and VLPRO_FORBID_SKIPS allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
