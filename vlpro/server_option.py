"""Which service a command asks: ``--server``, and the key in the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from vlpro.client import Client

__all__ = ["add_server", "client_of"]

_KEY = "VLPRO_KEY"  # no argument: everybody on the machine could read it there


def add_server(parser: argparse.ArgumentParser, t: Callable[[str, str], str]) -> None:
    """Add the option.

    Args:
        parser: Of the command.
        t: Chooses the sentence in the terminal's language: Chinese, English.
    """
    parser.add_argument(
        "--server",
        default=os.environ.get("VLPRO_SERVER", "http://127.0.0.1:8501"),
        metavar="URL",
        help=t(
            f"服务地址；默认 VLPRO_SERVER，否则为本机；密钥放在环境变量 {_KEY} 中",
            f"of the service; VLPRO_SERVER, else this machine's. A key goes into the environment as {_KEY}",
        ),
    )


def client_of(options: argparse.Namespace, *, timeout_s: float) -> Client:
    """A client of that service; whoever takes it closes it.

    Args:
        options: With ``server``.
        timeout_s: Seconds that one answer may take.
    """
    return Client(options.server, key=os.environ.get(_KEY) or None, timeout_s=timeout_s)
