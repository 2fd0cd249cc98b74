"""Compliance reports: ``/v1/compliance/reports``. Nothing here alters or deletes one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from vlpro.compliance.report import Content
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.compliance.report_store import FILES, PDF
from vlpro.compliance.service import ComplianceReports, Run
from vlpro.errors import NotFoundError
from vlpro.gateway.deps import Services, needs
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission
from vlpro.schema import compliance as wire

__all__ = ["router"]

router = APIRouter(prefix="/compliance/reports", tags=["compliance"], route_class=StrictRoute)

_PRIVATE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}
_MEDIA: dict[str, str] = {
    "report.html": "text/html; charset=utf-8",
    "report.pdf": "application/pdf",
    "report.json": "application/json",
    "report.sig": "application/octet-stream",
    "report.zip": "application/zip",
}

Id = Annotated[str, Path(max_length=64)]
_READ = [needs(Permission.COMPLIANCE_READ)]
_CREATE = [needs(Permission.COMPLIANCE_CREATE)]


async def _service(request: Request) -> ComplianceReports:
    """The reports. Raises: NotFoundError in profile local, where ``vlpro comply`` makes them."""
    services: Services = request.app.state.services
    if services.compliance is None:
        raise NotFoundError("Profile local has no administrators.", zh="local 模式没有管理员。")
    return services.compliance


ReportsOf = Annotated[ComplianceReports, Depends(_service)]


@router.post("", status_code=202, dependencies=_CREATE)
async def make(reports: ReportsOf) -> wire.ComplianceReportInfo:
    """Begin to try every clause, and to report on it; one report is made at a time."""
    return wire.ComplianceReportInfo(**_run(reports.start()))


@router.get("", dependencies=_READ)
async def listed(reports: ReportsOf) -> wire.ComplianceReportList:
    """The newest reports; what is being made, and what came to nothing."""
    return wire.ComplianceReportList(data=[_info(each) for each in await reports.listed()])


@router.get("/{report_id}", dependencies=_READ)
async def get(report_id: Id, reports: ReportsOf) -> wire.ComplianceReport:
    """One report, verified, or how far it is. The look at one that is made is recorded."""
    if (run := reports.run(report_id)) is not None:
        return wire.ComplianceReport(**_run(run))
    return _report(await reports.open(report_id))


@router.post("/{report_id}/stop", dependencies=_CREATE)
async def stop(report_id: Id, reports: ReportsOf) -> wire.ComplianceReportInfo:
    """Stop a report that is being made; nothing of it is kept."""
    run = await reports.stop(report_id)
    if run is None:
        raise NotFoundError("Nothing is being made.", zh="没有正在生成的报告。", param="report_id")
    return wire.ComplianceReportInfo(**_run(run))


@router.get(
    "/{report_id}/files/{name}",
    dependencies=_READ,
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _MEDIA.values()}, "description": "The file"}},
)
async def file(report_id: Id, name: Id, reports: ReportsOf) -> Response:
    """A file of a report, verified; ``report.zip`` holds all of them with the evidence. That is recorded."""
    data = await reports.file(report_id, name)
    named = {"content-disposition": f'attachment; filename="{_saved_as(report_id, name)}"'}
    return Response(data, 200, _PRIVATE | named, _MEDIA[name])


def _saved_as(report_id: str, name: str) -> str:
    """Both are known to be ours. The files of a folder keep their names."""
    return name if name in ("report.json", "report.sig") else name.replace("report", report_id)


def _run(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "status": run.state,
        "created": run.began,
        "by": run.by,
        "progress": {"done": run.done, "total": run.total, "check": run.check},
        "problem": run.problem or None,
    }


def _made(content: Content) -> dict[str, object]:
    return {
        "id": content["id"],
        "status": "made",
        "created": content["created"],
        "by": content["by"],
        "totals": content["totals"],
        "changed": len(content["changes"]["clauses"]) if content["changes"]["since"] else None,
    }


def _info(each: Run | Content | ReportVerificationError) -> wire.ComplianceReportInfo:
    if isinstance(each, Run):
        return wire.ComplianceReportInfo(**_run(each))
    if isinstance(each, ReportVerificationError):
        problem = wire.Sentence(en=str(each), zh=each.zh)
        return wire.ComplianceReportInfo(
            id=each.report, status="altered", created=each.created, problem=problem
        )
    return wire.ComplianceReportInfo(**_made(each))


def _report(content: Content) -> wire.ComplianceReport:
    given = {name: content[name] for name in ("host", "profile", "keys", "groups", "clauses", "changes")}
    return wire.ComplianceReport(
        **_made(content),
        **given,
        version=content["product"]["version"],
        settings_sha256=content["settings"]["sha256"],
        files=[name for name in FILES if name != PDF or PDF in content["files"]],
    )
