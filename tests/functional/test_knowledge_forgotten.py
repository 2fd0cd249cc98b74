"""What is deleted from a knowledge base is forgotten by the engine, too: whole pages, smaller copies, passages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest

from tests.functional.manuals import pdf
from tests.functional.server import chat, eventually, picture_file, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Forgotten, Request

BASES = "/v1/knowledge-bases"
PUMP = pdf(["Fault codes", "E11: no water flows. Open the valve and clean the filter."])
FAN = pdf(["Fault codes of the fan", "E45: the fan is blocked. Remove what blocks it."])


class _Keeping(FakeEngine):
    """Keeps pictures and conversations, as an engine with caches does; pictures have to share little room."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, picture_tokens_budget=1_200)
        self.kept: set[str] = set()
        self.read: set[str] = set()  # questions whose texts are kept

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.kept |= {picture.pixels_sha256 for picture in request.pictures}
        self.read.add(request.conversation)
        async for delta in super()._generate(request):
            yield delta

    async def forget(
        self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()
    ) -> Forgotten:
        self.kept -= pictures
        self.read -= conversations
        return Forgotten()


def _put(http: httpx.Client, base: str, name: str, data: bytes) -> str:
    path = f"{BASES}/{base}/documents/{quote(name)}"
    assert http.put(path, content=data).status_code == 202
    eventually(lambda: http.get(path).json()["status"] == "ready", timeout_s=60)
    return path


@pytest.mark.parametrize(
    "deletes",
    [
        lambda http, base: http.delete(f"{BASES}/{base}/documents/pump.pdf").raise_for_status(),
        lambda http, base: _put(http, base, "pump.pdf", pdf(["Fault codes", "E11 was taken out."])),
        lambda http, base: http.delete(f"{BASES}/{base}").raise_for_status(),
    ],
    ids=["document", "version", "base"],
)
def test_the_engine_forgets_what_is_deleted(deletes: Callable[[httpx.Client, str], object]) -> None:
    engine = _Keeping()
    with run(Settings(engine="fake"), engine) as server, server.http() as http:
        base, other = (http.post(BASES, json={"name": name}).json()["id"] for name in ("Pumps", "Fans"))
        _put(http, base, "pump.pdf", PUMP)
        _put(http, other, "fan.pdf", FAN)
        talk = http.post("/v1/conversations", json={}).json()["id"]
        asked = {"text": "What does E45 mean?", "knowledge_base": other}
        assert http.post(f"/v1/conversations/{talk}/messages", json=asked).status_code == 202
        eventually(lambda: talk in engine.read)
        fan = set(engine.kept)
        server.post("/v1/chat/completions", chat("What does E11 mean?", knowledge_base=base))
        whole = engine.kept - fan
        with_own = chat("What does E11 mean here?", picture_file(900, 900), knowledge_base=base)
        server.post("/v1/chat/completions", with_own)
        # The page once as it is, once smaller beside the person's picture; that one is not the base's.
        assert (len(fan), len(whole), len(engine.kept)) == (1, 1, 4)
        assert engine.read == {talk, ""}

        deletes(http, base)

        eventually(lambda: (len(engine.kept), len(engine.read)) == (2, 1))
        assert fan < engine.kept
        assert not whole & engine.kept
        assert engine.read == {talk}
