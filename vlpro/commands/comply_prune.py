"""``vlpro comply prune``: the oldest compliance reports deleted, on the record."""

from __future__ import annotations

from typing import Annotated

import typer

from vlpro.commands import comply
from vlpro.commands.terminal import Json, answer, t, tell

__all__ = ["app"]

app = comply.app


@app.command("prune", help=t("删除最早的报告，最新的保留", "delete the oldest reports; the newest stay"))
def _prune(
    *,
    keep: Annotated[
        int,
        typer.Option("--keep", metavar="N", min=1, help=t("保留最新的几份", "how many of the newest stay")),
    ],
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.audit.events import Event
    from vlpro.audit.record import Actor, Entry
    from vlpro.commands.audit_access import audit_log, sealer, who
    from vlpro.compliance.reporting import store_of

    settings = config.load()
    store = store_of(settings, sealer(settings))
    store.sweep()
    old, altered = store.older(keep)
    said = who()
    if old:
        with audit_log(settings) as log:
            for content in old:
                detail = said | {
                    "created": content["created"],
                    "sha256": store.sha256(content["id"]),
                    "keep": keep,
                }
                actor = Actor(login=str(said["user"]), role="machine")
                log.record(Entry(Event.COMPLIANCE_DELETED, actor, object=content["id"], detail=detail))
                store.delete(content["id"])
    for error in altered:
        tell(
            t(
                f"{store.folder / error.report} 与签名时不同，未删除：{error.zh}。请查明改动者，再手动移走。",
                f"{store.folder / error.report} is not as it was signed, and stays: {error}. Find out who altered "
                "it, then move it away by hand.",
            )
        )
    names = [content["id"] for content in old]
    kept = [error.report for error in altered]
    answer(
        {"deleted": names, "not_as_signed": kept},
        "\n".join([*names, t(f"已删除 {len(names)} 份报告。", f"Reports deleted: {len(names)}.")]),
        json=json,
    )
