from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.audit.canonical import MOST_INTEGER, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-MOST_INTEGER, MOST_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("bits", "written"),
    [
        # RFC 8785, appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers(bits: str, written: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert encode(value).decode() == written


def test_the_rfc_s_own_object() -> None:
    """Section 3.2.2 and what section 3.2.4 makes of it."""
    value = json.loads(
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        '"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        '"literals": [null, true, false]}'
    )
    assert (
        encode(value)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_stand_in_the_order_of_their_utf_16_units() -> None:
    """Section 3.2.3."""
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "😀": "Emoji: Grinning Face",
        "\x80": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(encode(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        2**53 + 1,
        -(2**53) - 1,
        10**21,
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        {None: 1},
        b"",
        {1, 2},
        object(),
        [math.nan],
    ],
)
def test_what_is_no_json(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        encode(value)


@given(VALUES)
def test_it_is_json_and_the_same_again(value: Any) -> None:
    written = encode(value)
    again = json.loads(written)
    assert encode(again) == written


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_writes_the_same() -> None:
    chance = random.Random(5)
    numbers: list[Any] = [1e21, 1e-7, 123456789012345680.0, 0.1, 1e16, 1e20, 5e-324]
    for _ in range(20_000):
        value = struct.unpack("d", chance.randbytes(8))[0]
        numbers += [value] if math.isfinite(value) else []
        numbers.append(chance.randrange(-(2**53) + 1, 2**53))
        numbers.append(round(chance.uniform(-1e6, 1e6), chance.randrange(8)))
    texts = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000] + ["\u2028", "\u2029", "𝄞"]
    source = json.dumps({"numbers": numbers, "texts": texts, "keys": dict.fromkeys(texts, 1)})
    script = (
        "const v = JSON.parse(require('fs').readFileSync(0));"
        "v.keys = Object.keys(v.keys).sort();"  # by UTF-16 units, by its definition
        "process.stdout.write(JSON.stringify(v))"
    )
    made = subprocess.run(["node", "-e", script], input=source.encode(), capture_output=True, check=True)  # noqa: S607
    keys = list(json.loads(encode(dict.fromkeys(texts, 1))))
    assert encode(numbers).decode() in made.stdout.decode()
    assert encode(texts).decode() in made.stdout.decode()
    assert json.loads(made.stdout)["keys"] == keys
