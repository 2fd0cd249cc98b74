"""``vlpro serve --sealed``, as people start it, on a machine from which one other can be reached."""

from __future__ import annotations

import io
import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.browser.server import ROOT
from tests.deploy.lab import OFFICE, OUTSIDE, SINK, UPSTREAM, Lab, lab
from tests.functional.server import chat, events, eventually
from tests.postgresql import Cluster
from tests.receivers import SECRET
from tests.slapd import make_ca
from vlpro.audit.ship.position import Position, PositionFile
from vlpro.crypto import make_key_file
from vlpro.engines.model_files import make_manifest

_START_S = 180
_FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"

# Runs inside the service and its worker, as whoever has taken them over would.
_INTRUDER = f"""
import json, os, sys, threading, time
from dataclasses import asdict
from pathlib import Path

def told(who):
    from vlpro.sealing import probes
    found = [asdict(attempt) for attempt in probes.attempts(("{OUTSIDE}", {SINK}))]
    os.write(2, f"INTRUDER {{who}} {{json.dumps(found)}}\\n".encode())

def asks_the_relay():
    from vlpro.sealing import outside
    try:
        outside.connection("{OUTSIDE}:{SINK}", 5).close()
        said = "connected"
    except OSError as error:
        said = type(error).__name__
    os.write(2, f"INTRUDER relay {{json.dumps(said)}}\\n".encode())

def service():
    told("service")
    from vlpro.sealing import outside
    for _ in range(2400):
        if outside.relayed():
            return asks_the_relay()
        time.sleep(0.05)

def calls_home():
    import socket
    from vlpro.sealing import tripwire
    for _ in range(2400):
        if tripwire._tell is not None:
            break
        time.sleep(0.05)
    try:
        socket.create_connection(("{OUTSIDE}", {SINK}), 5)
    except OSError as error:
        os.write(2, f"INTRUDER home {{json.dumps(type(error).__name__)}}\\n".encode())

if "--inherited" in sys.orig_argv:
    threading.Thread(target=service, daemon=True).start()
    threading.Thread(target=calls_home, daemon=True).start()
elif "vlpro.engines.worker" in sys.orig_argv:
    from vlpro.sealing import seal
    before = seal.seal_worker
    def sealed(**how):
        before(**how)
        told("worker")
        data = Path(os.environ["DATA_OF_THE_SERVICE"])
        try:
            said = [list(map(str, data.iterdir()))]
        except OSError as error:
            said = type(error).__name__
        os.write(2, f"INTRUDER data {{json.dumps(said)}}\\n".encode())
    seal.seal_worker = sealed
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@dataclass(frozen=True)
class Service:
    """A sealed service.

    Args:
        http: A client of it.
        pid: Its process.
        output: What it printed.
    """

    http: httpx.Client
    pid: int
    output: Path

    def intruder(self, who: str) -> Any:
        """What the intruder met."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            found = re.search(
                rf"^INTRUDER {who} (.*)$", self.output.read_text(encoding="utf-8"), re.MULTILINE
            )
            if found:
                return json.loads(found[1])
            time.sleep(0.05)
        raise AssertionError(self.output.read_text(encoding="utf-8")[-3000:])

    def processes(self) -> dict[str, int]:
        """Ids of the service and of its engine's worker."""
        worker = [p.pid for p in psutil.Process(self.pid).children() if "vlpro.engines.worker" in p.cmdline()]
        return {"service": self.pid, "worker": worker[0]}


@contextmanager
def client(path: Path, output: Path, pid: int) -> Iterator[httpx.Client]:
    """A client of a socket, as soon as the service behind it is ready."""
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(base_url="http://127.0.0.1", transport=transport, timeout=60, trust_env=False) as http:
        await_ready(http, path, output, pid)
        yield http


def await_ready(http: httpx.Client, path: Path, output: Path, pid: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        with suppress(OSError, httpx.HTTPError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))  # httpx leaves a socket open where nobody listens
            if http.get("/readyz", timeout=5).is_success:
                return
        time.sleep(0.05)
    raise AssertionError(output.read_text(encoding="utf-8", errors="replace")[-3000:])


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "vlpro", "serve", "--sealed", *options]


@contextmanager
def sealed(machines: Lab, folder: Path, port: int, **settings: str) -> Iterator[Service]:
    """The service on a port, with an intruder inside."""
    (folder / "intruder").mkdir()
    (folder / "intruder/sitecustomize.py").write_text(_INTRUDER, encoding="utf-8")
    more = {"data_dir": str(folder / "data"), "PYTHONPATH": str(folder / "intruder")}
    environment = ["env", f"DATA_OF_THE_SERVICE={folder / 'data'}"]
    output = folder / "output"
    start = [*environment, *command("--port", str(port))]
    with (
        machines.running(start, output, **more, **settings) as pid,
        machines.way_in(port) as path,
        client(path, output, pid) as http,
    ):
        yield Service(http, pid, output)


@pytest.fixture(scope="module")
def service(machines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "shipper").mkdir()
    ship = {"url": "https://192.0.2.20:9200", "state": str(folder / "shipper/position.json")}
    settings = {"audit_ship": json.dumps(ship), "metrics_addresses": '["127.0.0.1"]'}
    with sealed(machines, folder, 8501, engine="ocr", **settings) as made:
        yield made


def everything_tried(machines: Lab, *, sealed: bool) -> dict[str, tuple[bool, str]]:
    code = (
        "from vlpro.sealing import probes; import json; from dataclasses import asdict; "
        f"print(json.dumps([asdict(a) for a in probes.prove(({OUTSIDE!r}, {SINK}), sealed={sealed})]))"
    )
    done = subprocess.run(
        machines.inside([sys.executable, "-c", code]), cwd=ROOT, capture_output=True, check=True, timeout=120
    )
    return {found["way"]: (found["refused"], found["told"]) for found in json.loads(done.stdout)}


def receipt() -> bytes:
    picture = Image.new("RGB", (640, 240), "white")
    font = ImageFont.truetype(_FONT, 40)
    ImageDraw.Draw(picture).text((40, 40), "收据\n合计 ￥128.50", fill="black", font=font)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_without_the_seal_the_ways_are_open_and_with_it_none_is(machines: Lab) -> None:
    before = len(machines.seen())
    shut = everything_tried(machines, sealed=True)
    assert {way: told for way, (refused, told) in shut.items() if not refused} == {}
    assert len(shut) > 28
    # By seccomp already: Landlock knows of TCP from Linux 6.7 on.
    assert shut["connection from before, connected anew"] == (True, "EPERM")
    assert machines.seen()[before:] == []
    wide = everything_tried(machines, sealed=False)
    assert wide.keys() == shut.keys()
    for way in ("TCP", "MPTCP", "UDP", "native code", "child process", "thread from before", "io_uring"):
        assert not wide[way][0], way
    assert wide["connection from before, connected anew"] == (False, "it works")
    arrived = machines.seen()[before:]
    assert {(6, SINK), (17, SINK), (17, 53)} <= set(arrived)


def test_it_works_as_ever(service: Service) -> None:
    page = service.http.get("/", headers={"accept": "text/html"})
    assert "Qwen3-VL-4B Pro" in page.text
    status = service.http.get("/v1/status").json()
    assert (status["sealed"], status["engine"]) == (True, "ocr")
    answer = service.http.post("/v1/chat/completions", json=chat("合计多少？", receipt(), model="vlpro-ocr"))
    assert "128.50" in answer.json()["choices"][0]["message"]["content"], answer.text
    streamed = service.http.post(
        "/v1/chat/completions", json=chat("读出文字", receipt(), model="vlpro-ocr", stream=True)
    )
    pieces = [
        event["choices"][0]["delta"].get("content", "") for event in events(streamed.text) if event["choices"]
    ]
    assert "收据" in "".join(pieces)
    assert streamed.text.rstrip().endswith("data: [DONE]")


def test_the_record_is_kept(service: Service) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vlpro", "audit", "verify"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "VLPRO_DATA_DIR": str(service.output.parent / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_it_sees_how_far_the_shipper_is_and_nothing_else_of_it(service: Service) -> None:
    position = service.output.parent / "shipper/position.json"

    def lag() -> float:
        told = service.http.get("/metrics").text
        records = {name: float(number) for name, number in re.findall(r"(?m)^(vlpro_audit_\w+) (\S+)$", told)}
        return records.get("vlpro_audit_records", 0) - records["vlpro_audit_shipping_lag_records"]

    for arrived in (1, 2):  # the second file is another one, with the same name
        PositionFile(position).save(Position("elsewhere", seq=arrived))
        assert lag() == arrived


def test_whoever_takes_over_the_service_or_its_worker_gets_nowhere(machines: Lab, service: Service) -> None:
    for who in ("service", "worker"):
        found = service.intruder(who)
        assert [attempt for attempt in found if not attempt["refused"]] == [], who
        assert len(found) > 25
    assert service.intruder("data") == "PermissionError"
    before = len(machines.seen())
    control = machines.inside(["curl", "-s", "-m", "5", f"http://{OUTSIDE}:{SINK}/"])
    subprocess.run(control, check=False, timeout=20)
    assert machines.seen()[before:], "the wire is cut"


def test_a_try_to_get_out_is_on_the_record(service: Service) -> None:
    assert service.intruder("home") in ("PermissionError", "gaierror")
    database = sqlite3.connect(f"file:{service.output.parent}/data/audit.db?mode=ro", uri=True)
    tries: list[dict[str, str]] = []

    def found() -> bool:
        rows = database.execute("SELECT data FROM audit_records WHERE event = 'egress:connection:refused'")
        tries[:] = [json.loads(data)["detail"] for (data,) in rows]
        return any(f"{OUTSIDE}:{SINK}" in each["to"] for each in tries)

    eventually(found, timeout_s=90)
    database.close()


def test_the_kernel_says_so(service: Service) -> None:
    for who, pid in service.processes().items():
        said = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert said["Seccomp"] == "2", who
        assert said["NoNewPrivs"] == "1", who
        assert {said[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}, who
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), who


@pytest.fixture(scope="module")
def connected(machines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """With a model's server and an office system on the other machine; and what the latter got."""
    folder = tmp_path_factory.mktemp("connected")
    for name in ("office", "other"):
        (folder / name).mkdir()
        make_ca(folder / name, (OUTSIDE,))
    target = {"url": f"https://{OUTSIDE}:{OFFICE}/hook", "secret": SECRET}
    targets = {name: target | {"ca": str(folder / name / "ca.pem")} for name in ("office", "other")}
    settings = {
        "engine": "openai",
        "upstream_url": f"http://{OUTSIDE}:{UPSTREAM}/v1",
        "upstream_model": "m",
        "delivery": json.dumps({"targets": targets, "approved": "office"}),
    }
    with (
        machines.office(folder / "office") as got,
        sealed(machines, folder, 8502, **settings) as service,
    ):
        yield service, got


def test_a_model_outside_is_reached_by_the_relay_and_nothing_else_is(
    machines: Lab, connected: tuple[Service, Path]
) -> None:
    service, _ = connected
    before = len(machines.seen())
    with service.http.stream("POST", "/v1/chat/completions", json=chat(model="m", stream=True)) as reply:
        times, text = [], ""
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                found = json.loads(line.removeprefix("data: "))["choices"]
                text += found[0]["delta"].get("content") or "" if found else ""
                times.append(time.monotonic())
    assert text == "from outside"
    assert times[-1] - times[0] > 0.3, "it came in one piece"  # over 3 s
    assert service.intruder("relay") == "PermissionError"
    assert all(attempt["refused"] for attempt in service.intruder("service"))
    assert set(machines.seen()[before:]) == {(6, UPSTREAM)}


def batch_of_one(http: httpx.Client, file: str, **what: str) -> Any:
    """The answer to the only line of a batch."""
    at = f"/v1/batches/{http.post('/v1/batches', json={'input': {'file_ids': [file]}} | what).json()['id']}"
    eventually(lambda: http.get(at).json()["status"] == "completed", timeout_s=60)
    output = http.get(at).json()["output_file_id"]
    return http.get(f"/v1/files/{output}/content").json()["response"]["body"]


def test_batches_run_and_results_reach_who_the_settings_name(
    machines: Lab, connected: tuple[Service, Path]
) -> None:
    (service, got), before = connected, len(machines.seen())
    http = service.http
    sent = http.post("/v1/files", files={"file": ("a.png", receipt())}, data={"purpose": "user_data"}).json()
    read, answered = (
        batch_of_one(http, sent["id"], **what)
        for what in ({"template": "receipt"}, {"instruction": "what is it?"})
    )  # by the embedded engine, in a second worker; by the one outside
    assert read["fields"]["total"]["normalized"] == "128.50"
    assert answered["choices"][0]["message"]["content"] == "from outside"

    at = f"/v1/extractions/{read['id']}"
    approved = http.post(f"{at}/approve", json={"confirmed": read["unsettled"]})
    assert approved.json()["state"] == "approved", approved.text
    eventually(lambda: [one["state"] for one in http.get(f"{at}/deliveries").json()["data"]] == ["delivered"])
    # The same address, with a certificate that this target's authority has not signed.
    assert http.post(f"{at}/deliveries", json={"target": "other"}).status_code == 202
    eventually(
        lambda: any(
            "CERTIFICATE_VERIFY_FAILED" in str(one["problem"])
            for one in http.get(f"{at}/deliveries").json()["data"]
        )
    )
    refused = http.post(f"{at}/deliveries", json={"target": f"https://{OUTSIDE}:{SINK}/"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_target")
    (event,) = [json.loads(line) for line in got.read_text(encoding="utf-8").splitlines()]
    assert (event["type"], event["data"]["id"]) == ("extraction.approved", read["id"])
    assert set(machines.seen()[before:]) == {(6, UPSTREAM), (6, OFFICE)}


@pytest.mark.parametrize("engine", ["openvino", "transformers"])
def test_the_models_engines_need_no_more(
    machines: Lab, random_model: Path, tmp_path: Path, engine: str
) -> None:
    listing = tmp_path / "manifest.json"
    listing.write_text(make_manifest(random_model, "tiny").to_json(), encoding="utf-8")
    settings = {"engine": engine, "model_dir": str(random_model), "model_manifest": str(listing)}
    with sealed(machines, tmp_path, 8503, **settings) as service:
        asked = chat("hi", model="tiny", max_tokens=4)
        answer = service.http.post("/v1/chat/completions", json=asked)
        assert answer.status_code == 200, answer.text
        assert all(attempt["refused"] for attempt in service.intruder("worker"))


def hidden(folder: Path, kept: Sequence[Path]) -> list[str]:
    """A command's beginning, after which it sees of /tmp and /run what is kept only, as under our systemd unit."""
    lines = ["set -e", "mount --make-rprivate /", f"mkdir -p {folder}/kept"]
    for index, path in enumerate(kept):
        lines += [f"mkdir {folder}/kept/{index}", f"mount --bind {path} {folder}/kept/{index}"]
    lines += [f"mount --rbind {folder}/kept /mnt", "mount -t tmpfs none /run", "mount -t tmpfs none /tmp"]
    for index, path in enumerate(kept):
        lines += [f"mkdir -p {path}", f"mount --bind /mnt/{index} {path}"]
    return ["unshare", "-m", "sh", "-c", "; ".join([*lines, 'exec "$@"']), "sh"]


def test_postgresql_by_its_socket_where_no_other_can_be_reached(
    machines: Lab, postgresql: Cluster, tmp_path: Path
) -> None:
    url, output = postgresql.new(), tmp_path / "output"
    path = tmp_path / "service.sock"
    make_key_file(tmp_path / "key")
    settings = {
        "profile": "mlps3",
        "engine": "fake",
        "data_dir": str(tmp_path / "data"),
        "database_url": url,
        "key_file": str(tmp_path / "key"),
        "public_url": "https://localhost",
        "trusted_proxies": '["unix"]',
    }
    start = command("--socket", str(path))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "docker.sock"))
        other.listen()
        with machines.running(start, output, **settings) as pid:
            assert psutil.Process(pid).wait(60) == 1
        assert "does not start while sockets of other programs can be reached" in output.read_text()
        assert not path.exists() or not psutil.pid_exists(pid)
    (tmp_path / "docker.sock").unlink()

    folder = Path(url.partition("host=")[2])
    folder.chmod(0o755)  # the service has lost root's power to look into any folder
    around = hidden(tmp_path / "around", [tmp_path, folder, ROOT])
    (tmp_path / "around").mkdir()
    with (
        machines.running([*around, *start], output, **settings) as pid,
        client(path, output, pid) as http,
    ):
        assert psutil.Process(pid).cmdline()[-2] == "--inherited"
        assert http.get("/v1/status").status_code == 401  # it answers, and knows its people
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM audit_records").fetchone()
    assert found is not None
    assert found[0] > 0
