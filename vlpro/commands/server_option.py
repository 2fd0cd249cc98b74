"""Which service a command asks: ``--server``, and the key in the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from vlpro.commands.terminal import t

if TYPE_CHECKING:
    from vlpro.client import Client

__all__ = ["THIS_MACHINE", "Server", "client_of", "key_given"]

_KEY = "VLPRO_KEY"  # no argument: everybody on the machine could read it there

THIS_MACHINE = "http://127.0.0.1:8501"
"""The service that is asked where none is named."""

Server = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="VLPRO_SERVER",
        help=t(
            f"服务地址；密钥放在环境变量 {_KEY} 中",
            f"of the service; a key goes into the environment as {_KEY}",
        ),
    ),
]
"""The option ``--server``."""


def client_of(server: str, *, timeout_s: float) -> Client:
    """A client of that service; whoever takes it closes it.

    Args:
        server: Its address.
        timeout_s: Seconds that one answer may take.
    """
    from vlpro.client import Client

    return Client(server, key=key_given() or None, timeout_s=timeout_s)


def key_given() -> str:
    """The API key in the environment; empty: there is none."""
    return os.environ.get(_KEY, "")
