"""``vlpro serve`` and ``vlpro relay``: the service, and the way out of a sealed one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlpro.commands.terminal import WrongUsageError, t

__all__ = ["app"]

app = typer.Typer()

_PORT = 8501


@app.command(help=t("启动服务：页面和接口", "start the service: the page and the API"))
def serve(
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help=t("监听的端口，默认 8501", "to listen on: 8501")),
    ] = None,
    socket: Annotated[
        str | None,
        typer.Option(
            "--socket",
            metavar="PATH",
            help=t("改为监听 Unix 套接字，供 nginx 连接", "a Unix socket instead of a port, for nginx"),
        ),
    ] = None,
    sealed: Annotated[
        bool,
        typer.Option(
            "--sealed",
            help=t("由内核保证不外联（docs/sealing.md）", "the kernel lets nothing out (docs/sealing.md)"),
        ),
    ] = False,
    relay: Annotated[
        str | None,
        typer.Option(
            "--relay",
            metavar="PATH",
            help=t("--sealed：使用单独运行的中继", "--sealed: a relay that runs by itself"),
        ),
    ] = None,
    inherited: Annotated[
        str | None, typer.Option("--inherited", hidden=True)
    ] = None,  # by --sealed, of itself
) -> None:
    from vlpro.errors import ConfigError

    if port is not None and socket is not None:
        raise WrongUsageError("Give either --port or --socket.", zh="--port 与 --socket 只能给出一个。")
    port = _PORT if port is None else port
    if sealed or inherited:
        from vlpro import sealed as sealing

        if sealed:
            sealing.launch(port=port, path=socket, relay_path=relay)
        listener = sealing.inherited(inherited or "")
    elif relay:
        raise ConfigError(
            "--relay belongs to --sealed: otherwise the service connects by itself.",
            zh="--relay 须与 --sealed 一起使用；否则服务自行连接。",
            param="relay",
        )
    else:
        listener = None
    from vlpro.serve import serve as run

    run(port=port, socket=socket, listener=listener)


@app.command(
    name="relay", help=t("密封服务通往所列地址的中继", "the way of a sealed service to the listed addresses")
)
def relay_(
    *,
    socket: Annotated[
        Path, typer.Argument(metavar="PATH", help=t("供服务连接的套接字", "socket for the service"))
    ],
    addresses: Annotated[
        list[str],
        typer.Argument(metavar="HOST:PORT", help=t("允许连接的地址", "that may be connected to")),
    ],
) -> None:
    import logging

    from vlpro.sealing import relay

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s relay %(levelname)s %(message)s")
    relay.listen(socket, addresses)
