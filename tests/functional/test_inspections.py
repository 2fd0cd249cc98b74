"""Pictures of boards, inspected over HTTP: what comes out, whose it is, what is refused and kept, who is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from tests.functional.boards import DEFECT, board, file_of, golden_board
from tests.functional.company import Company, company
from tests.functional.server import Server, data_url, eventually, picture_file, run
from tests.receivers import SECRET, HookServer, hook
from vlpro.audit.events import Event
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.tables import records
from vlpro.commands.app import main
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.errors import AuditError
from vlpro.identity.permissions import Role

GOLDEN = file_of(golden_board())
BROKEN = file_of(board(), "JPEG")
GOOD = file_of(board(defect=False, seed=7), "JPEG")


@pytest.fixture(scope="module")
def mes() -> Iterator[HookServer]:
    with hook() as listening:
        yield listening


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, mes: HookServer) -> Iterator[Server]:
    given = {
        "engine": "ocr",
        "data_dir": tmp_path_factory.mktemp("line"),
        "delivery": {"targets": {"mes": {"url": mes.url, "secret": SECRET}}},
        "inspection": {
            "alert_targets": ["mes"],
            "rules": [{"station": "quiet-*", "quiet_minutes": 5}, {"station": "few", "min_defects": 2}, {}],
        },
    }
    with run(Settings.model_validate(given)) as running:
        yield running


@pytest.fixture
def http(line: Server) -> Iterator[httpx.Client]:
    with line.http() as client:
        yield client


def asked(picture: bytes = BROKEN, golden: bytes | None = GOLDEN, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"image": {"url": data_url(picture)}, "product": "A1", "station": "S1"}
    if golden is not None:
        body["template_image"] = {"url": data_url(golden)}
    return body | fields


def inspected(http: httpx.Client, picture: bytes = BROKEN, **fields: Any) -> dict[str, Any]:
    reply = http.post("/v1/inspections", json=asked(picture, **fields))
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def said(server: Server) -> list[dict[str, Any]]:
    """What the audit's record says of workflows, the oldest first."""
    recorder = server.services.recorder
    assert isinstance(recorder, LogRecorder)
    query = sa.select(records.c.data).where(records.c.event.like("workflow:%")).order_by(records.c.seq)
    with recorder.audit.database.read() as connection:
        return [json.loads(row.data) for row in connection.execute(query)]


def test_a_broken_trace_is_found_where_it_is(http: httpx.Client, line: Server) -> None:
    found = inspected(http)
    assert found["object"] == "inspection"
    assert (found["method"], found["product"], found["station"]) == ("template", "A1", "S1")
    assert (found["verdict"], found["screening"]) == ("fail", False)
    (defect,) = found["defects"]
    assert (defect["kind"], defect["score"] > 0.5) == ("open", True)
    x1, y1, x2, y2 = defect["box"]
    assert (x1 < DEFECT[2], x2 > DEFECT[0], y1 < DEFECT[3], y2 > DEFECT[1]) == (True,) * 4
    assert http.get(f"/v1/inspections/{found['id']}").json() == found
    assert found["id"] in [one["id"] for one in http.get("/v1/inspections").json()["data"]]

    address = f"/v1/inspections/{found['id']}/picture"
    pictures = [Image.open(BytesIO(http.get(f"{address}{more}").content)) for more in ("", "?boxes=false")]
    assert [(picture.format, picture.size) for picture in pictures] == [("JPEG", (640, 640))] * 2
    corner = (x1, (y1 + y2) // 2)  # on the box's left edge: blue where it is drawn
    spreads = [np.ptp(np.asarray(picture)[corner[::-1]].astype(int)) for picture in pictures]
    assert [spread > 60 for spread in spreads] == [True, False]

    of_it = [record for record in said(line) if record["object"] == found["id"]]
    assert [record["event"] for record in of_it] == [Event.WORKFLOW_STARTED, Event.WORKFLOW_COMPLETED]
    begun, ended = (record["detail"] for record in of_it)
    assert begun["images"][0]["sha256"] == found["sha256"]
    assert (begun["method"], len(begun["template"]["sha256"])) == ("template", 64)
    assert (ended["verdict"], ended["defects"]) == ("fail", 1)


def test_copper_may_be_the_light_tone(http: httpx.Client) -> None:
    light, golden = file_of(255 - board(seed=61)), file_of(255 - golden_board())
    kinds = [
        [defect["kind"] for defect in inspected(http, light, golden=golden, **more)["defects"]]
        for more in ({}, {"copper": "light"})
    ]
    assert kinds == [["short"], ["open"]]
    put = {"image": {"url": data_url(golden)}, "copper": "light"}
    assert http.put("/v1/inspections/templates/light", json=put).json()["copper"] == "light"
    found = inspected(http, light, golden=None, product="light")
    assert [defect["kind"] for defect in found["defects"]] == ["open"]
    http.delete("/v1/inspections/templates/light")


def test_a_stored_golden_picture_serves_who_sends_only_the_product(http: httpx.Client) -> None:
    address = "/v1/inspections/templates/Б 7"
    assert http.post("/v1/inspections", json=asked(golden=None, product="Б 7")).status_code == 400
    put = http.put(address, json={"image": {"url": data_url(GOLDEN)}})
    assert (put.status_code, put.json()["width"]) == (200, 640)
    assert http.get(address).json() == put.json()
    assert [one["product"] for one in http.get("/v1/inspections/templates").json()["data"]] == ["Б 7"]
    assert Image.open(BytesIO(http.get(f"{address}/picture").content)).format == "PNG"
    found = http.post("/v1/inspections", json=asked(golden=None, product="Б 7")).json()
    assert (found["verdict"], found["method"]) == ("fail", "template")
    # Another one in its place, which has the same trace broken: now the picture is as it should be.
    http.put(address, json={"image": {"url": data_url(file_of(board(seed=3)))}})
    assert http.post("/v1/inspections", json=asked(golden=None, product="Б 7")).json()["verdict"] == "pass"
    assert http.delete(address).json()["deleted"] is True
    assert http.get(address).status_code == 404
    assert http.post("/v1/inspections", json=asked(golden=None, product="Б 7")).status_code == 400


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"product": "A1"}, "image", "missing_required_parameter"),
        (asked(b"no picture"), "image.url", "invalid_image_format"),
        (asked(golden=b"no picture"), "template_image.url", "invalid_image_format"),
        (asked() | {"image": {"url": "http://camera/1.jpg"}}, "image.url", "invalid_image_url"),
        (asked(golden=None), "template_image", "template_not_found"),
        (asked(golden=None, product=""), "template_image", "missing_required_parameter"),
        (asked(product="a/b"), "product", "invalid_value"),
        (asked(station="$SYS"), "station", "invalid_value"),
        (asked(method="magic"), "method", "invalid_value"),
        (asked(method="thermal"), "template_image", "unsupported_parameter"),
        (asked(golden=None, method="thermal", copper="dark"), "copper", "unsupported_parameter"),
        (asked(golden=None, method="sight"), "method", "unsupported_parameter"),
        (asked(instruction="scratches"), "instruction", "unsupported_parameter"),
        (asked(golden=None, instruction="scratches"), "instruction", "unsupported_parameter"),
        (asked(colour="red"), "colour", "unknown_parameter"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    http: httpx.Client, body: dict[str, Any], param: str, code: str
) -> None:
    reply = http.post("/v1/inspections", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (400, param, code), error
    assert error["vlpro"]["zh"] != error["message"]


def test_a_thermal_picture_goes_to_the_region_finder(http: httpx.Client) -> None:
    found = inspected(http, picture_file(64, 48), golden=None, method="thermal")
    assert (found["method"], found["screening"]) == ("thermal", False)
    assert "instruction" not in found["message"]
    # Nobody is there who could say why: the answer says so.
    for method in ("thermal", "auto"):
        found = inspected(
            http, picture_file(64, 48), golden=None, method=method, instruction="哪里过热，为什么"
        )
        assert found["method"] == "thermal"
        assert "instruction was not followed" in found["message"]
        assert "未按 instruction 判断" in found["message_zh"]


def test_nothing_is_found_without_a_record(http: httpx.Client, line: Server) -> None:
    before = len(http.get("/v1/inspections?limit=200").json()["data"])
    failing = mock.AsyncMock(side_effect=AuditError("The disk is full.", zh="磁盘已满。"))
    with mock.patch.object(line.services.inspections._recorder, "arecord", failing):
        assert http.post("/v1/inspections", json=asked()).status_code == 503
    assert len(http.get("/v1/inspections?limit=200").json()["data"]) == before


def test_the_same_picture_at_the_same_station_is_one_alert_and_told_once(
    http: httpx.Client, line: Server, mes: HookServer
) -> None:
    first = inspected(http, file_of(board(seed=11), "JPEG"), station="once")
    again = inspected(http, file_of(board(seed=11), "JPEG"), station="once")
    elsewhere = inspected(http, file_of(board(seed=11), "JPEG"), station="elsewhere")
    assert first["alert"]["state"] == "open"
    assert (again["alert"], again["id"] != first["id"]) == (first["alert"], True)
    assert elsewhere["alert"]["id"] != first["alert"]["id"]
    assert inspected(http, GOOD)["alert"] is None
    assert inspected(http, file_of(board(seed=12), "JPEG"), station="few")["alert"] is None

    name = first["alert"]["id"]
    told = http.get(f"/v1/inspections/alerts/{name}").json()
    assert (told["station"], told["kinds"], told["state"]) == ("once", ["open"], "open")
    assert (told["inspection"], told["defects"]) == (first["id"], 1)
    eventually(lambda: len([one for one in mes.got if one["data"]["station"] in ("once", "elsewhere")]) == 2)
    assert [one["type"] for one in mes.got if one["data"]["id"] == name] == ["alert.raised"]

    opened = "/v1/inspections/alerts?state=open&limit=200"
    assert name in [one["id"] for one in http.get(opened).json()["data"]]
    seen = http.post(f"/v1/inspections/alerts/{name}/acknowledge", json={"note": "reworked"}).json()
    assert (seen["state"], seen["acknowledged_by"], seen["note"]) == ("acknowledged", "local", "reworked")
    assert http.post(f"/v1/inspections/alerts/{name}/acknowledge", json={}).json() == seen
    assert name not in [one["id"] for one in http.get(opened).json()["data"]]
    assert http.get(f"/v1/inspections/{first['id']}").json()["alert"]["state"] == "acknowledged"
    events = [record["event"] for record in said(line) if record["object"] == name]
    assert events.count(Event.FINDING_RAISED) == events.count(Event.FINDING_ACKNOWLEDGED) == 1


def test_after_an_alert_its_kind_is_silent_at_its_station(http: httpx.Client, line: Server) -> None:
    raised = [
        inspected(http, file_of(board(seed=seed), "JPEG"), station=station)["alert"]
        for seed, station in ((21, "quiet-1"), (22, "quiet-1"), (23, "quiet-2"))
    ]
    assert [alert["state"] for alert in raised] == ["open", "silenced", "open"]
    with sqlite3.connect(line.services.settings.data_dir / "vlpro.db") as database:
        sent = {subject for (subject,) in database.execute("select subject from deliveries")}
    assert [alert["id"] in sent for alert in raised] == [True, False, True]


def test_a_picture_is_kept_until_somebody_has_decided(http: httpx.Client, line: Server) -> None:
    found = inspected(http, file_of(board(seed=31), "JPEG"), station="decided")
    address = f"/v1/inspections/{found['id']}"
    assert http.get(f"{address}/picture").status_code == 200
    decided = http.post(f"{address}/decision", json={"verdict": "pass"}).json()
    assert (decided["decision"]["verdict"], decided["decision"]["by"]) == ("pass", "local")
    assert (decided["verdict"], decided["picture"]) == ("fail", False)
    gone = http.get(f"{address}/picture")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "picture_not_kept")
    assert http.delete(address).json()["object"] == "inspection.deleted"
    assert http.get(address).status_code == 404
    # Nothing that names a product, and no picture, is readable in the database.
    with sqlite3.connect(line.services.settings.data_dir / "vlpro.db") as database:
        rows = database.execute("select data, picture from inspections").fetchall()
        rows += database.execute("select data, picture from golden_templates").fetchall()
        rows += [(data, None) for (data,) in database.execute("select data from inspection_alerts")]
    assert len(rows) > 5
    assert not any(
        b"station" in data or (picture or b"")[:4] in (b"\xff\xd8\xff\xe0", b"\x89PNG")
        for data, picture in rows
    )
    assert any(picture for _, picture in rows)


def test_the_command_goes_through_the_api(
    line: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    (tmp_path / "board.jpg").write_bytes(BROKEN)
    (tmp_path / "golden.png").write_bytes(GOLDEN)
    given = [
        "inspect",
        str(tmp_path / "board.jpg"),
        "--server",
        line.url,
        "--template",
        str(tmp_path / "golden.png"),
    ]
    assert main([*given, "--output", str(tmp_path / "drawn.jpg")]) == 0
    assert capsys.readouterr().out.startswith("FAIL  insp_")
    assert Image.open(BytesIO((tmp_path / "drawn.jpg").read_bytes())).size == (640, 640)
    assert main([*given, "--json", "--station", "S4"]) == 0
    assert json.loads(capsys.readouterr().out)["station"] == "S4"
    assert main(["inspect", str(tmp_path / "none.jpg")]) == 1
    assert main([*given, "--product", "a/b"]) == 1
    assert "--product" in capsys.readouterr().err


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    watched = folder / "watched"
    watched.mkdir()
    inspection = {"folder": {"path": str(watched), "account": "wanglei", "settle_s": 0, "poll_s": 0.05}}
    with company(folder, sqlite_url(folder), inspection=inspection) as running:
        yield running


def test_results_templates_and_alerts_are_their_owners(firm: Company) -> None:
    with firm.client(Role.USER) as li, firm.client(firm.other) as wang:
        found = inspected(li)
        alert = found["alert"]["id"]
        li.put("/v1/inspections/templates/A1", json={"image": {"url": data_url(GOLDEN)}})
        for path in ("inspections/{}", "inspections/{}/picture", "inspections/alerts/{}"):
            foreign, unknown = alert if "alerts" in path else found["id"], "insp_000000000000000000000000"
            replies = [wang.get(f"/v1/{path.format(name)}") for name in (foreign, unknown)]
            assert [reply.status_code for reply in replies] == [404, 404]
            assert replies[0].content == replies[1].content
        assert wang.post(f"/v1/inspections/alerts/{alert}/acknowledge", json={}).status_code == 404
        assert wang.delete(f"/v1/inspections/{found['id']}").status_code == 404
        assert wang.get("/v1/inspections").json()["data"] == []
        assert wang.get("/v1/inspections/templates/A1").status_code == 404
        without = wang.post("/v1/inspections", json=asked(golden=None, method="template"))
        assert without.json()["error"]["code"] == "template_not_found"
        assert li.get(f"/v1/inspections/{found['id']}").json()["id"] == found["id"]
        # What the engine sees is screening, on the record with the question that it was asked.
        for method, instruction in (("sight", ""), ("thermal", "哪里过热，为什么")):
            seen = inspected(wang, golden=None, method=method, instruction=instruction)
            assert (seen["method"], seen["screening"], seen["verdict"]) == ("sight", True, "review")
    # A key inspects, but it is no person who sees to alerts and decides.
    key = firm.key(scopes=["workflow:run:use"])
    with firm.server.http(headers={"authorization": f"Bearer {key}"}) as camera:
        found = inspected(camera, file_of(board(seed=41), "JPEG"))
        for path in (f"alerts/{found['alert']['id']}/acknowledge", f"{found['id']}/decision"):
            assert camera.post(f"/v1/inspections/{path}", json={"verdict": "pass"}).status_code == 403
    with firm.client(Role.SYSTEM) as administrator:
        assert administrator.get("/v1/inspections").status_code == 403


def test_the_command_takes_its_key_from_the_environment(
    firm: Company, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "board.jpg").write_bytes(BROKEN)
    (tmp_path / "golden.png").write_bytes(GOLDEN)
    given = ["inspect", str(tmp_path / "board.jpg"), "--template", str(tmp_path / "golden.png")]
    assert main([*given, "--server", firm.server.url]) == 1
    monkeypatch.setenv("VLPRO_KEY", firm.key(scopes=["workflow:run:use"]))
    assert main([*given, "--server", firm.server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"


def test_a_watched_folder_acts_for_its_account_while_that_may(firm: Company) -> None:
    settings = firm.server.services.settings
    assert settings.inspection is not None
    assert settings.inspection.folder is not None
    folder = settings.inspection.folder.path
    with firm.client(firm.other) as wang:
        wang.put("/v1/inspections/templates/A1", json={"image": {"url": data_url(GOLDEN)}})
        (folder / "S1" / "A1").mkdir(parents=True)
        written = folder / "S1" / "A1" / "1.jpg.part"  # a file that is half written would be taken at once
        written.write_bytes(file_of(board(seed=51), "JPEG"))
        written.rename(written.with_suffix(""))
        eventually((folder / "done" / "S1" / "A1" / "1.jpg").exists)
        found = wang.get("/v1/inspections").json()["data"][0]
        assert (found["source"], found["station"], found["product"]) == ("folder", "S1", "A1")
    of_it = [record for record in said(firm.server) if record["object"] == found["id"]]
    assert {(record["login"], record["address"]) for record in of_it} == {("wanglei", "folder")}
