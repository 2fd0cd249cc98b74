"""``vlpro serve``: page and API in one process, like ``streamlit run app.py``, on a port here or a Unix socket."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX
from socket import socket as Socket  # noqa: N812 - the argument has its name

import uvicorn
from starlette.middleware import Middleware

from vlpro.errors import ConfigError
from vlpro.gateway.app import parts
from vlpro.ui.shell import Shell

__all__ = ["serve"]

_SCRIPT = Path(__file__).parent / "ui" / "app.py"
_DRAIN_S = 10
_WEBSOCKET_BYTES = 4_000_000
_NOT_STARTED = 3  # as uvicorn.run()


def serve(*, port: int = 8501, socket: str | None = None, listener: Socket | None = None) -> None:
    """Serve until the process is asked to end; what is stored is the account's alone, whoever starts it.

    Args:
        port: On 127.0.0.1.
        socket: Path of a Unix socket instead.
        listener: A socket that listens already, instead of both.

    Raises:
        ConfigError: A setting is wrong, or a condition of the profile is missing.
    """
    from streamlit.starlette import App  # noqa: PLC0415 - slow to import: settings are refused before

    os.umask(0o077)
    if listener is not None and listener.family == AF_UNIX:
        address = f"unix:{listener.getsockname()}"
    else:
        address = f"unix:{socket}" if socket else "127.0.0.1"
    arguments = parts(page=[Middleware(Shell)], address=address)
    app = App(str(_SCRIPT), **arguments)
    if socket:
        # uvicorn opens it to everybody; who may connect is decided by the folder.
        folder = Path(socket).resolve().parent
        if not os.access(folder, os.W_OK):
            raise ConfigError(
                f"The folder {folder} of the socket cannot be written to.",
                zh=f"套接字所在的文件夹 {folder} 不可写。",
                param="socket",
            )
    # Streamlit gives this logger a handler again, whatever access_log says. Its lines hold queries, and those the
    # codes of a sign-in.
    logging.getLogger("uvicorn.access").addFilter(lambda _: False)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            uds=socket,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            ws_max_size=_WEBSOCKET_BYTES,
            timeout_graceful_shutdown=_DRAIN_S,
            log_level="warning",
        )
    )
    # What came while it ran is raised anew when it has ended in order: that is no failure, and the status is 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):  # then it has ended in order
        server.run(sockets=None if listener is None else [listener])
    if not server.started:
        sys.exit(_NOT_STARTED)
