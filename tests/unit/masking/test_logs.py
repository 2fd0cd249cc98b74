from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator

import pytest

from vlpro.masking.logs import MaskedRecord, mask_logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler writes that was there before masking began."""
    before = logging.getLogRecordFactory()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    log = logging.getLogger("test.masking")
    log.addHandler(handler)
    mask_logs()
    yield stream
    log.removeHandler(handler)
    logging.setLogRecordFactory(before)


def test_messages_arguments_and_tracebacks_are_masked(written: io.StringIO) -> None:
    log = logging.getLogger("test.masking")
    log.warning("refused %r of %s at %d", "\n13800138000", "a.zhang@example.com", 13900139000)
    try:
        int("11010519491231002X")
    except ValueError:
        log.exception("failed", stack_info=True)
    text = written.getvalue()
    assert "'\\n138****8000' of a******@example.com at 139****9000" in text
    assert "with base 10: '110105********002X'" in text
    assert "test_logs.py" in text
    assert not any(
        number in text for number in ("13800138000", "13900139000", "11010519491231002X", "zhang@")
    )


def test_what_logs_are_for_stays(written: io.StringIO) -> None:
    line = (
        "request req_000013800138000000000000 of acc_4f1c13800138000aaaaaaaaa from 10.13.80.138 took 0.13800138000 s "
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    logging.getLogger("test.masking").warning("%s", line)
    assert written.getvalue() == f"test.masking {line}\n"


def test_it_costs_little() -> None:
    """About 20 microseconds a line on a free core; the bound is for a busy machine."""
    line = "refused a session of %s: the policy does not list the address %s, request req_0123456789abcdef01234567"
    began = time.thread_time()
    for _ in range(1000):
        MaskedRecord("n", logging.INFO, __file__, 1, line, ("zhang.san", "10.1.2.3"), None).getMessage()
    assert time.thread_time() - began < 0.5
