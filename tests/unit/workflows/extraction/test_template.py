from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.unit.workflows.extraction.documents import TEMPLATES
from vlpro.errors import ConfigError
from vlpro.workflows.extraction.template import json_schema, load_template, load_templates

GOOD = """
name: pass_slip
title: {zh: 放行条, en: Pass slip}
recognise: {words: {放行条: 2}, least: 2}
fields:
  number: {title: {zh: 编号, en: No}, type: code, required: true, from: [{label: [No, 编号]}]}
  total: {title: {zh: 金额, en: Amount}, type: amount, from: [{row: '^合计', take: 0}]}
checks:
  - {check: format, field: number, pattern: 'A\\d+'}
"""


def test_our_own_templates_are_all_there_and_have_titles_in_both_languages() -> None:
    assert set(TEMPLATES) == {
        "vat_invoice",
        "train_ticket",
        "taxi_receipt",
        "quota_invoice",
        "receipt",
        "contract",
        "delivery_note",
        "business_card",
        "meter_reading",
    }
    for template in TEMPLATES.values():
        titles = [template.title, *(field.title for field in template.fields)]
        for title in (*titles, *(column.title for column in template.columns)):
            assert title.zh
            assert title.en


def test_a_companys_own_template_is_added_or_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "slip.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "receipt.yaml").write_text(GOOD.replace("pass_slip", "receipt"), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no template", encoding="utf-8")
    found = load_templates(tmp_path)
    assert found["pass_slip"].field("number").sources[0].names == ("No", "编号")  # No is no "false"
    assert [field.name for field in found["receipt"].fields] == ["number", "total"]
    assert set(TEMPLATES) < set(found)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("name: pass_slip\n", "", "name: is missing"),
        ("name: pass_slip", "name: Pass Slip", "name: 'Pass Slip' is no name"),
        ("name: pass_slip", "name: custom", "name: custom is taken"),
        ("en: Pass slip", "fr: Laissez-passer", "title.fr: is not known here"),
        ("type: code", "type: codex", "fields.number.type: 'codex' is none of"),
        ("required: true", "required: often", "fields.number.required: must be true or false"),
        (
            "from: [{label: [No, 编号]}]",
            "from: [{lable: No}]",
            "fields.number.from[0].lable: is not known here",
        ),
        ("from: [{label: [No, 编号]}]", "from: [{look: [same]}]", "fields.number.from[0]: must have one of"),
        ("'^合计'", "'^(合计'", "fields.total.from[0].row: is no pattern"),
        ("field: number", "field: nummer", "checks[0].field: 'nummer' is none of"),
        ("check: format", "check: formt", "checks[0].check: 'formt' is none of"),
        ("  total:", "  number:", "the key 'number' stands twice"),
        ("fields:", "fields: [", "line"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(old: str, new: str, key: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load_template(GOOD.replace(old, new, 1), "slip.yaml")
    assert "slip.yaml" in caught.value.message
    assert key in caught.value.message
    assert caught.value.zh != caught.value.message


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_templates(tmp_path / "absent")


def test_the_schema_for_an_engine_that_sees_is_valid_and_strict() -> None:
    for template in TEMPLATES.values():
        schema = json_schema(template)
        Draft202012Validator.check_schema(schema)
        empty: dict[str, object] = {field.name: None for field in template.fields}
        if template.columns:
            empty["items"] = []
        validator = Draft202012Validator(schema)
        assert validator.is_valid(empty)
        assert not validator.is_valid({**empty, "other": "x"})


def test_the_example_of_the_documentation_is_a_template() -> None:
    text = Path("docs/extraction.md").read_text(encoding="utf-8")
    example = load_template(text.partition("```yaml\n")[2].partition("```")[0], "extraction.md")
    assert [field.name for field in example.fields] == ["number", "date", "total"]
