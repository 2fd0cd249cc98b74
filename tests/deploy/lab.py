"""Two machines that know nobody else, as network namespaces of the tests' own: the service's, and one outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.server import ROOT
from tests.functional.server import eventually
from tests.support import end

__all__ = ["OFFICE", "OUTSIDE", "SINK", "UPSTREAM", "Lab", "lab"]

OUTSIDE = "10.9.9.9"
SINK, UPSTREAM, OFFICE = 7000, 8000, 9000
_MARK = 9999
_LIFE_S = 1_800  # whatever becomes of the tests

_SETUP = """
ip link set lo up
unshare -n sleep {life} & other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add inside type veth peer name outside
ip link set outside netns $other
ip addr add 10.9.9.1/24 dev inside
ip link set inside up
nsenter -t $other -n sh -ec 'ip link set lo up; ip addr add {outside}/24 dev outside; ip link set outside up'
ip route add default via {outside}
echo $other
exec sleep {life}
"""

# Tells every packet that arrives, and answers on two ports: one to see connections, one as a model's server.
_THERE = """
import http.server, json, socket, socketserver, struct, sys, threading, time

raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
raw.bind(("outside", 0x0800))

def listen():
    while True:
        packet, about = raw.recvfrom(65535)
        if about[2] == socket.PACKET_OUTGOING:
            continue
        head = (packet[0] & 15) * 4
        port = struct.unpack_from("!H", packet, head + 2)[0] if packet[9] in (6, 17) else 0
        print(json.dumps([packet[9], port]), flush=True)

class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.say(json.dumps({"object": "list", "data": [{"id": "m"}]}).encode(), "application/json")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for delta in ({"content": "from "}, {"content": "outside"}, {}):
            end = None if delta else "stop"
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\\n\\n")
            self.wfile.flush()
            time.sleep(1.5)
        self.wfile.write(b"data: [DONE]\\n\\n")
    def say(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

class Sink(socketserver.BaseRequestHandler):
    def handle(self):
        pass

threading.Thread(target=listen, daemon=True).start()
for port, handler in ((SINK, Sink), (UPSTREAM, Model)):
    server = socketserver.ThreadingTCPServer(("0.0.0.0", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""

# A receiver of results there, by TLS; tells what came with the right signature.
_OFFICE = """
import json, sys, time
from pathlib import Path
from tests.receivers import hook, server_tls
with hook(int(sys.argv[2]), server_tls(Path(sys.argv[1])), host="0.0.0.0") as office:
    told = 0
    while True:
        for event in office.got[told:]:
            print(json.dumps(event), flush=True)
            told += 1
        time.sleep(0.02)
"""

# From a Unix socket, which reaches into a network namespace, to a port there.
_WAY_IN = """
import asyncio, sys

async def carry(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()

async def one(reader, writer):
    try:
        far = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    except OSError:
        return writer.close()
    await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))
    far[1].close()
    writer.close()

async def main():
    async with await asyncio.start_unix_server(one, sys.argv[1]) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Lab:
    """The two machines.

    Args:
        folder: For what they leave.
        here: A process on the service's.
        there: A process on the other.
    """

    folder: Path
    here: int
    there: int

    def inside(self, command: Sequence[str]) -> list[str]:
        """A command, on the service's machine."""
        return [*_enter(self.here), *command]

    def seen(self) -> list[tuple[int, int]]:
        """Packets that arrived outside: protocol (6: TCP, 17: UDP) and port.

        Another process writes them down, in their order: one more is sent, and waited for.
        """
        mark = (17, _MARK)
        wanted = self._written().count(mark) + 1
        send = self.inside(["bash", "-c", f"echo > /dev/udp/{OUTSIDE}/{_MARK}"])
        subprocess.run(send, check=True, timeout=30)
        eventually(lambda: self._written().count(mark) >= wanted)
        return [packet for packet in self._written() if packet != mark]

    def _written(self) -> list[tuple[int, int]]:
        lines = (self.folder / "seen").read_text(encoding="ascii").splitlines(keepends=True)
        return [
            (found[0], found[1])
            for line in lines
            if line.startswith("[") and line.endswith("\n")
            for found in [json.loads(line)]
        ]

    @contextmanager
    def way_in(self, port: int) -> Iterator[Path]:
        """A Unix socket that leads to a port of the service's machine."""
        path = self.folder / f"{port}.sock"
        path.unlink(missing_ok=True)
        with _running(
            self.inside([sys.executable, "-c", _WAY_IN, str(path), str(port)]), self.folder / "way-in"
        ):
            yield path

    @contextmanager
    def office(self, certificate: Path) -> Iterator[Path]:
        """A receiver of results on the other machine, on :data:`OFFICE`; yields the file of what it got, one a line.

        Args:
            certificate: Folder of ``server.pem`` and ``server.key``.
        """
        output = self.folder / "office"
        start = [*_enter(self.there), sys.executable, "-c", _OFFICE, str(certificate), str(OFFICE)]
        with _running(start, output):
            yield output

    @contextmanager
    def running(self, command: Sequence[str], output: Path, **settings: str) -> Iterator[int]:
        """A process on the service's machine until the end of the block; yields its id.

        Args:
            command: What runs.
            output: File for what it prints.
            **settings: Environment variables, without ``VLPRO_``.
        """
        with _running(self.inside(command), output, **settings) as process:
            yield process.pid


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Both machines until the end of the block; skips where there can be none."""
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux")):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {program}: apt-get install {package}")
    script = textwrap.dedent(_SETUP.format(life=_LIFE_S, outside=OUTSIDE))
    alone = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs network namespaces: root, or user namespaces")
    with ExitStack() as stack:
        first = stack.enter_context(
            subprocess.Popen([*alone, "sh", "-ec", script], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(end, first)
        assert first.stdout is not None
        there = int(first.stdout.readline())
        stack.callback(os.kill, there, signal.SIGTERM)
        made = Lab(folder, first.pid, there)
        code = _THERE.replace("SINK", str(SINK)).replace("UPSTREAM", str(UPSTREAM))
        stack.enter_context(_running([*_enter(there), sys.executable, "-c", code], folder / "seen"))
        eventually(lambda: "ready" in (folder / "seen").read_text(encoding="ascii"))
        yield made


def _enter(pid: int) -> list[str]:
    user = [] if os.getuid() == 0 else ["-U", "--preserve-credentials"]
    return ["nsenter", "-t", str(pid), *user, "-n", "--"]


@contextmanager
def _running(command: Sequence[str], output: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    environment |= {f"VLPRO_{name.upper()}": value for name, value in settings.items() if name.islower()}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), settings.get("PYTHONPATH", "")])
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=output.parent, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            end(process)
