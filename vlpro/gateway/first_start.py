"""The first start: how the first administrators are made, told to the person who starts the service."""

from __future__ import annotations

import sys
from datetime import datetime

from vlpro.identity.service import Identity

__all__ = ["show_secret"]


def show_secret(identity: Identity, url: str) -> None:
    """Show the one-time secret on the terminal, while there is no account.

    It goes to a person, never to a log: where standard error is no terminal, whoever collects the lines would keep
    the secret, and would stumble over lines that are no log. Then the start's warning leads to ``vlpro user setup``,
    and no secret is made here: it would replace the one that the command gave, whenever a replica starts again.

    Args:
        identity: The accounts.
        url: The public one.
    """
    if not sys.stderr.isatty():
        return
    secret = identity.setup.open()
    if secret is None:
        return
    now = datetime.now().astimezone().strftime("%H:%M")
    sys.stderr.write(
        f"\n  首次启动 First start ({now})\n"
        f"  {url}/setup\n"
        f"  一次性密钥（1 小时内有效） one-time secret, good for an hour: {secret}\n\n"
    )
    sys.stderr.flush()
