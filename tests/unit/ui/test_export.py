from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from tests.unit.ui.sample import conversation
from tests.unit.ui.test_markdown import STARTS, WAYS_OUT
from vlpro import schema
from vlpro.ui.export import as_json, as_markdown
from vlpro.ui.markdown import inert


def test_markdown_tells_questions_answers_pictures_and_places() -> None:
    made = as_markdown(conversation(), "zh", datetime(2026, 11, 18, 15, 42, tzinfo=UTC))
    assert made.startswith("# 合计金额是多少？\n\n导出时间 2026-11-18 15:42:00\n")
    assert "## 提问 · 1970-01-01 00:00:00" in made
    assert f"- 图 1：800 × 1140 像素，SHA-256 {'ab' * 32}" in made
    assert "- 图 3：" in made
    assert "- 图 1 [1, 2, 3, 4] 合计 486.50" in made
    assert "> 出错了。" in made
    english = as_markdown(conversation(), "en", datetime(2026, 11, 18, tzinfo=UTC))
    assert "> It failed." in english
    assert "## Question" in english


def test_a_point_is_told_as_one() -> None:
    talk = conversation()
    extension = talk.messages[1].vlpro
    assert extension
    extension.grounding[0] = schema.Grounding(image=1, point=(7, 8.2), label="旋钮")
    assert "- 图 1 [7, 8] 旋钮" in as_markdown(talk, "zh", datetime(2026, 11, 18, tzinfo=UTC))


def test_json_holds_everything_and_is_read_back() -> None:
    made = as_json(conversation())
    assert schema.Conversation.model_validate_json(made) == conversation()
    assert json.loads(made)["messages"][1]["vlpro"]["grounding"][0]["box"] == [1, 2, 3.4, 4]


def test_whatever_opens_the_file_fetches_nothing_for_it() -> None:
    talk = conversation()
    told = "\n\n".join([*WAYS_OUT, "```mermaid\nA@{ img: 'x' }\n```"])
    extension = talk.messages[1].vlpro
    assert extension
    extension.grounding[0] = schema.Grounding(image=1, box=(1, 2, 3, 4), label=WAYS_OUT[0], text=WAYS_OUT[4])
    shown = as_markdown(
        talk.model_copy(
            update={
                "title": WAYS_OUT[1],
                "messages": [one.model_copy(update={"text": told}) for one in talk.messages],
            }
        ),
        "en",
        datetime(2026, 11, 18, tzinfo=UTC),
    )
    # A letter is a letter in code.
    prose = re.sub(r"^(`{3,})\n.*?^\1$", "", shown, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"\d\d:\d\d:\d\d", "", prose)  # times of ours
    assert not STARTS.search(prose), STARTS.search(prose)
    assert as_json(talk).count("\u2060") == 0


def test_code_in_a_saved_conversation_names_no_language_and_ends_where_it_ended() -> None:
    assert inert("```mermaid\nflowchart LR\n```") == "```\nflowchart LR\n```"
    assert inert("````\n```\nx\n````\nafter") == "````\n```\nx\n````\n\nafter"
