"""``python -m vlpro.engines.worker ENGINE OPTIONS CONTROL [sealed]``: started by the gateway, not by people."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

from vlpro.logs import configure_child
from vlpro.masking.logs import mask_logs
from vlpro.process import keep_memory_private
from vlpro.sealing.seal import seal_worker


def main() -> None:
    """Run one engine until the gateway goes."""
    keep_memory_private()
    name, options, control = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    if sys.argv[4:] == ["sealed"]:
        # Libraries look for a home when they are imported, and PyTorch makes an empty folder for what it may compile.
        os.environ["HOME"] = os.devnull
        tempfile.tempdir = os.environ.get("TMPDIR", os.devnull)  # not tried out by writing to it
        known = [Path(options[it]) for it in ("folder", "manifest") if options.get(it)]
        seal_worker(read=known, folders=[Path(tempfile.tempdir)])
    # Only now, as they start threads:
    from vlpro.engines import registry  # noqa: PLC0415
    from vlpro.engines.worker.host import serve  # noqa: PLC0415

    mask_logs()
    configure_child("engine")
    engine = registry.create(name, options)
    with socket.socket(fileno=control) as connection:
        asyncio.run(serve(engine, connection))
    # A thread may still be in the middle of a long computation that nobody waits for any more.
    os._exit(0)


if __name__ == "__main__":
    main()
