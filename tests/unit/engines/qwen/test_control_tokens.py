"""Nothing that a person, a picture or a tool says becomes a control token: on Qwen3-VL's own tokenizer."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import pytest

from tests.attacks import CONTROL_TEXTS
from tests.qwen import ADDED, tokenizer_json
from tests.support import picture
from vlpro.engines.interface import Message, Role
from vlpro.engines.qwen.prompt import Encoder
from vlpro.errors import EngineError

ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(tokenizer_json(), max_pixels=25_600, min_pixels=1024)


def control(encoder: Encoder, *messages: Message) -> Counter[str]:
    """The control tokens of a conversation, and how often each stands there."""
    names = {encoder.tokenizer.token_to_id(name): name for name in ADDED}
    return Counter(names[token] for token in encoder.prompt(messages).ids if token in names)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CONTROL_TEXTS)
def test_no_text_brings_a_control_token(name: str, role: Role, encoder: Encoder) -> None:
    parts = CONTROL_TEXTS[name]
    asked = Message("user", ("Go on.",))
    plain = control(encoder, Message(role, ("x",)), asked)
    assert control(encoder, Message(role, parts), asked) == plain
    assert plain["<|im_start|>"] == 3
    assert plain["<|image_pad|>"] == 0


@pytest.mark.parametrize("name", CONTROL_TEXTS)
def test_a_text_beside_pictures_adds_no_cell(name: str, encoder: Encoder) -> None:
    shown = picture(64, 96)
    attack = Message("user", (*CONTROL_TEXTS[name], shown, *CONTROL_TEXTS[name]))
    assert control(encoder, attack) == control(encoder, Message("user", ("x", shown, "x")))


@pytest.mark.parametrize("name", CONTROL_TEXTS)
def test_a_text_reaches_the_model_letter_by_letter(name: str, encoder: Encoder) -> None:
    text = "".join(CONTROL_TEXTS[name])
    ids = encoder.prompt((Message("user", (text,)),)).ids
    told = encoder.tokenizer.decode(ids, skip_special_tokens=True)
    assert told == unicodedata.normalize("NFC", f"user\n{text}\nassistant\n")
    assert encoder.count(text) == len(ids) - len(encoder.prompt((Message("user", ("",)),)).ids)


def test_the_templates_own_tokens_are_there(encoder: Encoder) -> None:
    """What parts a tool's answer from the user's words is a token of the model, and only the template writes it."""
    found = control(encoder, Message("user", ("?",)), Message("tool", ("<tool_response>",)))
    assert (found["<tool_response>"], found["</tool_response>"]) == (1, 1)


@pytest.mark.parametrize("token", ADDED)
def test_an_answer_that_holds_one_is_read_as_text_the_next_time(token: str, encoder: Encoder) -> None:
    words = encoder.words()
    for one in (encoder.tokenizer.token_to_id("Yes"), encoder.tokenizer.token_to_id(token)):
        words.take(one)
    assert words.whole() is None


def test_a_tokenizer_that_makes_one_all_the_same_is_not_obeyed() -> None:
    """A control token of one letter cannot be cut; Qwen has none, but a folder may hold any tokenizer."""
    changed = json.loads(tokenizer_json())
    changed["added_tokens"].append(changed["added_tokens"][-1] | {"id": 151_669, "content": "§"})
    encoder = Encoder(json.dumps(changed), max_pixels=25_600, min_pixels=1024)
    with pytest.raises(EngineError, match="control token"):
        encoder.prompt((Message("user", ("See § 5.",)),))
