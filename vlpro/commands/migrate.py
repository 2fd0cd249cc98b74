"""``vlpro migrate``: the databases, brought up to this version."""

from __future__ import annotations

import typer

from vlpro.commands.terminal import t

__all__ = ["app"]

app = typer.Typer()


@app.command(
    help=t(
        "更新数据库结构（服务启动时也会自动执行）",
        "bring the databases up to this version (the service does so at its start, too)",
    )
)
def migrate() -> None:
    from vlpro import config
    from vlpro.gateway.profile import database_of, recorder_of, sealer_of
    from vlpro.knowledge.index.postgres import prepare

    settings = config.load()
    database = database_of(settings)
    if settings.knowledge is not None and settings.knowledge.index == "postgres":
        prepare(database)
    database.close()
    recorder_of(settings, sealer_of(settings)).audit.database.close()
