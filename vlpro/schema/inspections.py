"""What goes over the wire about inspections; shared by the gateway and its clients. Times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vlpro.schema.knowledge import Citation, KnowledgeBaseField
from vlpro.schema.shapes import Reply, Request

__all__ = [
    "Acknowledgement",
    "AlertState",
    "DecidedInspection",
    "Defect",
    "GoldenTemplate",
    "GoldenTemplateList",
    "Inspection",
    "InspectionAlert",
    "InspectionAlertList",
    "InspectionDecision",
    "InspectionList",
    "InspectionMethod",
    "NewGoldenTemplate",
    "NewInspection",
    "PictureUrl",
    "RaisedAlert",
    "Shift",
]

InspectionMethod = Literal["template", "thermal", "sight"]
Verdict = Literal["pass", "review", "fail"]
Copper = Literal["dark", "light"]
AlertState = Literal["open", "silenced", "acknowledged"]

NAME = r"^([^\x00-\x1f\x7f/\\#+$.][^\x00-\x1f\x7f/\\#+]{0,63})?$"
"""A station or a product: up to 64 characters, none of ``/ \\ # +``, and none of ``$ .`` before the others."""

_Name = Annotated[str, Field(pattern=NAME)]


class PictureUrl(Request):
    """A picture as a data URL (``data:image/…;base64,…``); nothing is ever fetched."""

    url: str


class NewInspection(Request):
    """``POST /v1/inspections``."""

    image: PictureUrl
    template_image: Annotated[
        PictureUrl | None, Field(description="The golden picture; left out: the stored one of the product")
    ] = None
    product: Annotated[_Name, Field(description="What is inspected; names the stored golden picture")] = ""
    station: Annotated[_Name, Field(description="Where; alerts and silences go by it")] = ""
    method: Annotated[
        Literal["auto", "template", "thermal", "sight"],
        Field(
            description="auto: template where there is a golden picture and no instruction; else sight where the "
            "engine sees"
        ),
    ] = "auto"
    copper: Annotated[
        Copper | None,
        Field(
            description="Method template: which of a board's two tones its conductors are; left out: as stored with "
            "the golden picture, else dark in black and white, light in colour"
        ),
    ] = None
    instruction: Annotated[
        str, Field(max_length=2_000, description="What to look for, for an engine that sees")
    ] = ""
    language: Annotated[
        Literal["zh", "en"], Field(description="In which an engine that sees names what it found")
    ] = "zh"
    knowledge_base: Annotated[
        KnowledgeBaseField | None,
        Field(description="Knowledge bases whose passages may explain what is found, one or some"),
    ] = None


class Defect(Reply):
    """One finding; ``box`` is ``[x1, y1, x2, y2]`` in pixels of the picture as it was sent."""

    kind: str
    box: tuple[int, int, int, int]
    score: float = Field(description="0 to 1: how sure")
    note: str = ""


class Shift(Reply):
    """How the golden picture was laid on the inspected one."""

    degrees: float
    scale: float
    x: float
    y: float


class DecidedInspection(Reply):
    """What a person decided."""

    verdict: Literal["pass", "fail"]
    by: str = Field(description="Login")
    decided_at: float


class RaisedAlert(Reply):
    """The alert that an inspection raised, or found raised already by the same picture at the same station."""

    id: str
    state: AlertState


class Inspection(Reply):
    """A picture, inspected."""

    id: str
    object: Literal["inspection"] = "inspection"
    created: int
    method: InspectionMethod
    product: str
    station: str
    defects: list[Defect] = Field(description="Surest first; their numbers in the picture count from 1")
    verdict: Verdict = Field(description="pass: nothing was found; fail: defects; review: a person must look")
    screening: bool = Field(description="True: found by a model; a person must confirm it")
    message: str = Field("", description="What else is to be known, in English")
    message_zh: str = ""
    citations: list[Citation] | None = Field(
        None, description="Passages of the knowledge bases that explain it; null: none was asked for"
    )
    width: int
    height: int
    shift: Shift | None = None
    sha256: str = Field("", description="Of the picture as it was sent")
    source: Literal["api", "folder", "mqtt"] = "api"
    picture: bool = Field(default=False, description="Whether /picture still has the picture")
    decision: DecidedInspection | None = None
    alert: RaisedAlert | None = None
    seconds: float = Field(0, description="From the picture's arrival to the finding")


class InspectionList(Reply):
    """Inspections, the newest first."""

    object: Literal["list"] = "list"
    data: list[Inspection]
    next: str | None = Field(None, description="`after` of the next page; null: this is the last")


class InspectionDecision(Request):
    """``POST /v1/inspections/{id}/decision``: what a person found when looking at it."""

    verdict: Literal["pass", "fail"]


class NewGoldenTemplate(Request):
    """``PUT /v1/inspections/templates/{product}``."""

    image: PictureUrl
    copper: Annotated[
        Copper | None, Field(description="Which of its two tones the conductors are, for all its inspections")
    ] = None


class GoldenTemplate(Reply):
    """The golden picture of a product."""

    object: Literal["inspection.template"] = "inspection.template"
    product: str
    created: int
    width: int
    height: int
    sha256: str
    copper: Copper | None = None


class GoldenTemplateList(Reply):
    """One's own golden pictures."""

    object: Literal["list"] = "list"
    data: list[GoldenTemplate]


class InspectionAlert(Reply):
    """A finding that somebody should look at."""

    id: str
    object: Literal["inspection.alert"] = "inspection.alert"
    created: int
    inspection: str = Field(description="Id of the inspection that raised it")
    product: str
    station: str
    kinds: list[str]
    defects: int
    score: float = Field(description="Of the surest defect that counted")
    verdict: Verdict
    screening: bool
    state: AlertState
    acknowledged_by: str = Field("", description="Login")
    acknowledged_at: float | None = None
    note: str = ""
    message: str
    message_zh: str


class InspectionAlertList(Reply):
    """Alerts, the newest first."""

    object: Literal["list"] = "list"
    data: list[InspectionAlert]
    next: str | None = None


class Acknowledgement(Request):
    """``POST /v1/inspections/alerts/{id}/acknowledge``."""

    note: Annotated[str, Field(max_length=500)] = ""
