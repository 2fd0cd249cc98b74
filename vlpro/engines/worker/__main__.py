"""``python -m vlpro.engines.worker ENGINE OPTIONS CONTROL``: started by the gateway, not by people."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys

from vlpro.engines import registry
from vlpro.engines.worker.host import serve
from vlpro.process import keep_memory_private


def main() -> None:
    """Run one engine until the gateway goes."""
    keep_memory_private()
    name, options, control = sys.argv[1:4]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s worker %(name)s %(levelname)s %(message)s")
    engine = registry.create(name, json.loads(options))
    with socket.socket(fileno=int(control)) as connection:
        asyncio.run(serve(engine, connection))
    # A thread may still be in the middle of a long computation that nobody waits for any more.
    os._exit(0)


if __name__ == "__main__":
    main()
