"""A server that reads our texts with control tokens on finds none in them; who reads the answer finds all letters."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.attacks import CONTROL_TEXTS
from tests.qwen import ADDED, tokenizer_json
from tests.seeing import MODEL
from tests.support import answer_text, picture
from tests.unit.engines.upstreams import Scripted, event
from vlpro.engines.control import Together, parted
from vlpro.engines.interface import Message, Request, ResponseFormat, Role, Sampling
from vlpro.engines.openai import OpenAiEngine

pytestmark = pytest.mark.anyio

ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
TEMPLATE = jinja2.Template((MODEL.parent / "chat_template.jinja").read_text())
WHOLE = event(delta={"content": "好"}) + event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Qwen3-VL's own, as a server uses it: control tokens in the text are control tokens."""
    return Tokenizer.from_str(tokenizer_json())


async def sent(*messages: Message, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the engine sends for a conversation."""
    upstream = Scripted(WHOLE)
    engine = OpenAiEngine(upstream, model="m")
    form = None if schema is None else ResponseFormat(schema)
    request = Request(messages, Sampling(max_tokens=5), response_format=form)
    async for _ in engine.generate(request, timeout_s=30):
        pass
    await engine.stop()
    body: dict[str, Any] = json.loads(upstream.requests[0].content)
    return body


def control(tokenizer: Tokenizer, body: dict[str, Any]) -> Counter[str]:
    """The control tokens of the prompt that a server makes of a request."""
    prompt = TEMPLATE.render(messages=body["messages"], add_generation_prompt=True)
    names = {tokenizer.token_to_id(name): name for name in ADDED}
    return Counter(names[token] for token in tokenizer.encode(prompt).ids if token in names)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CONTROL_TEXTS)
async def test_no_text_brings_a_control_token(name: str, role: Role, tokenizer: Tokenizer) -> None:
    asked = Message("user", ("Go on.",))
    plain = control(tokenizer, await sent(Message(role, ("x",)), asked))
    assert control(tokenizer, await sent(Message(role, CONTROL_TEXTS[name]), asked)) == plain
    assert plain["<|im_start|>"] == 3


@pytest.mark.parametrize("name", CONTROL_TEXTS)
async def test_a_text_beside_pictures_adds_no_picture(name: str, tokenizer: Tokenizer) -> None:
    shown, parts = picture(32, 32), CONTROL_TEXTS[name]
    plain = control(tokenizer, await sent(Message("user", ("x", shown, "x"))))
    assert control(tokenizer, await sent(Message("user", (*parts, shown, *parts)))) == plain
    assert plain["<|image_pad|>"] == 1


@pytest.mark.parametrize("name", CONTROL_TEXTS)
async def test_neither_does_a_schema(name: str, tokenizer: Tokenizer) -> None:
    """Some servers write the schema into the prompt."""
    text = "".join(CONTROL_TEXTS[name])
    schema = {"type": "object", "description": text, "properties": {text: {"enum": [text], "title": text}}}
    body = await sent(Message("user", ("?",)), schema=schema)
    told = json.dumps(body["response_format"], ensure_ascii=False)
    names = {tokenizer.token_to_id(name) for name in ADDED}
    assert names.isdisjoint(tokenizer.encode(told).ids)


@pytest.mark.parametrize("name", CONTROL_TEXTS)
async def test_an_answer_reads_as_it_was_meant(name: str) -> None:
    """Whatever the server repeats, and in whatever pieces."""
    text = "".join(CONTROL_TEXTS[name]).replace("\u2060", "")
    pieces = b"".join(event(delta={"content": letter}) for letter in parted(text))
    upstream = OpenAiEngine(Scripted(pieces + WHOLE), model="m")
    request = Request((Message("user", (text,)),), Sampling(max_tokens=5))
    assert await answer_text(upstream, request) == text + "好"
    await upstream.stop()


@given(st.lists(st.text("<|im_end>＜｜[/INST]\u2060 think")), st.data())
def test_any_text_comes_back_in_any_pieces(words: list[str], data: st.DataObject) -> None:
    text = "".join(words).replace("\u2060", "")
    told = parted(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(told)), max_size=5)))
    together = Together()
    pieces = [told[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(told)], strict=True)]
    assert "".join(together.take(piece) for piece in pieces) == text


def test_what_is_no_control_token_stays_as_it_is() -> None:
    """HTML, generics, comparisons and mathematics are sent letter by letter."""
    for text in ("<div><p>x</p></div>", "List<String>", "a < b | c > d", "[TODO] x[0]", "1 <2", "<!-- -->"):
        assert parted(text) == text
