"""Whatever the network would rather say, the answer has the form that was asked for."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.seeing import MODEL
from vlpro.engines.interface import ResponseFormat
from vlpro.engines.qwen.form import Forms
from vlpro.errors import BadRequestError

TEXT = (MODEL / "tokenizer.json").read_text()
TOKENIZER = Tokenizer.from_str(TEXT)
WORDS = TOKENIZER.get_vocab_size()
END = TOKENIZER.token_to_id("<|im_end|>")

RECEIPT = {
    "type": "object",
    "properties": {
        "商户": {"type": "string", "maxLength": 12},
        "类别": {"enum": ["餐饮", "交通", "住宿"]},
        "金额": {"type": "number", "minimum": 0, "maximum": 100000},
        "明细": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        "paid": {"type": "boolean"},
    },
    "required": ["商户", "类别", "金额", "明细", "paid"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def forms() -> Forms:
    return Forms(TEXT, vocabulary=WORDS, end=END)


@pytest.mark.parametrize("seed", range(12))
def test_even_noise_becomes_what_the_schema_says(seed: int, forms: Forms) -> None:
    form = forms.make(ResponseFormat(RECEIPT))
    dice = np.random.default_rng(seed)
    ids: list[int] = []
    while not form.complete and len(ids) < 800:
        logits = dice.normal(size=WORDS).astype(np.float32)
        form.bar(logits)
        token = int(logits.argmax())
        assert np.isfinite(logits[token])
        if token == END:
            break
        form.take(token)
        ids.append(token)
    told = json.loads(TOKENIZER.decode(ids))
    jsonschema.validate(told, RECEIPT)
    assert list(told) == list(RECEIPT["properties"])  # type: ignore[call-overload]


def test_without_a_schema_it_is_an_object(forms: Forms) -> None:
    form = forms.make(ResponseFormat())
    logits = np.zeros(WORDS, np.float32)
    form.bar(logits)
    allowed = {TOKENIZER.decode([int(token)])[:1] for token in np.flatnonzero(np.isfinite(logits))}
    assert allowed == {"{"}


def test_no_control_token_is_ever_allowed_within(forms: Forms) -> None:
    form = forms.make(ResponseFormat({"type": "object", "properties": {"a": {"type": "string"}}}))
    for token in TOKENIZER.encode('{"a": "', add_special_tokens=False).ids:
        form.take(token)
    logits = np.zeros(WORDS, np.float32)
    form.bar(logits)
    special = [TOKENIZER.token_to_id(token) for token in ("<|im_start|>", "<|image_pad|>", "<|im_end|>")]
    assert not np.isfinite(logits[special]).any()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=x)y"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
        {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}},
            "required": ["a"],
        },
    ],
)
def test_what_cannot_be_kept_to_is_refused(schema: dict[str, object], forms: Forms) -> None:
    with pytest.raises(BadRequestError) as caught:
        forms.make(ResponseFormat(schema))
    assert caught.value.code == "invalid_json_schema"
    assert caught.value.param == "response_format.json_schema.schema"
