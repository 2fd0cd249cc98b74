"""``python -m tests.functional.uploads KIND DESCRIPTOR SEAL FOLDER``: a server in its own process, to be watched.

``service`` is this product; ``stock`` is how uploads are usually taken, which writes them to a temporary file.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.confined import writes_only_in
from vlpro.config import Settings
from vlpro.gateway.app import parts


async def _stock(request: Request) -> Response:
    async with request.form() as form:
        return JSONResponse({"fields": len(form)})


def main() -> None:
    """Serve on an inherited listener until killed."""
    kind, descriptor, sealed = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "sealed"
    stock = Starlette(routes=[Route("/", _stock, methods=["POST"])])
    app = (
        stock if kind == "stock" else Starlette(**parts(Settings(engine="fake", data_dir=Path(sys.argv[4]))))
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
    if sealed:
        writes_only_in(Path(sys.argv[4]))
    asyncio.run(server.serve([socket.socket(fileno=descriptor)]))


if __name__ == "__main__":
    main()
