from __future__ import annotations

import json

from tests.unit.engines.ocr.asking import ask
from tests.unit.engines.ocr.pages_of import english_receipt, page, till_receipt, vat_invoice

NULLABLE = ["string", "null"]


def test_json_object_of_the_asked_fields() -> None:
    answer = ask("merchant, total and tip", english_receipt(), json_object=True)
    assert json.loads(answer) == {"merchant": "GOOD LUCK HARDWARE SDN BHD", "total": 10.6, "tip": None}


def test_json_object_of_all_fields() -> None:
    found = json.loads(ask("", vat_invoice(), json_object=True))
    assert (found["total"], found["date"], found["buyer"]) == (7018.83, "2010-11-18", "测试购方企业")


def test_schema_with_types_items_and_what_is_not_proven() -> None:
    schema = {
        "type": "object",
        "properties": {
            "store_name": {"type": "string"},
            "invoiceNo": {"type": "string"},
            "issue_date": {"type": "string", "format": "date"},
            "total_amount": {"type": "number"},
            "currency": {"type": NULLABLE, "enum": ["MYR", "USD", None]},
            "tip": {"type": ["number", "null"]},
            "paid_in_full": {"type": ["boolean", "null"]},
            "vendor": {
                "type": "object",
                "properties": {"tax_id": {"type": "string"}, "fax": {"type": NULLABLE}},
            },
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "description": {"type": "string"},
                        "qty": {"type": "integer"},
                        "price": {"type": "number"},
                        "amount": {"type": "number"},
                        "sku": {"type": NULLABLE},
                    },
                },
            },
        },
    }
    assert json.loads(ask("Extract", english_receipt("RM 10.60"), schema=schema)) == {
        "store_name": "GOOD LUCK HARDWARE SDN BHD",
        "invoiceNo": "CS00031663",
        "issue_date": "2018-03-25",
        "total_amount": 10.6,
        "currency": "MYR",
        "tip": None,
        "paid_in_full": None,
        "vendor": {"tax_id": "000849813504", "fax": None},
        "items": [
            {"description": "HAMMER 16OZ", "qty": 1, "price": 8, "amount": 8, "sku": None},
            {"description": "NAILS BOX", "qty": 2, "price": 1, "amount": 2, "sku": None},
        ],
    }


def test_chinese_property_names() -> None:
    schema = {
        "properties": {
            "发票号码": {"type": "string"},
            "销售方税号": {"type": "string"},
            "价税合计": {"type": "number"},
            "开票日期": {"type": "string"},
            "明细": {
                "type": "array",
                "items": {"type": "object", "properties": {"单价": {"type": "number"}}},
            },
        }
    }
    assert json.loads(ask("", vat_invoice(), schema=schema)) == {
        "发票号码": "87654321",
        "销售方税号": "410305012345678",
        "价税合计": 7018.83,
        "开票日期": "2010年11月18日",
        "明细": [{"单价": 5999}],
    }


def test_references_and_alternatives() -> None:
    schema = {
        "$defs": {"money": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "properties": {"total": {"$ref": "#/$defs/money"}, "discount": {"$ref": "#/$defs/money"}},
    }
    assert json.loads(ask("", till_receipt(), schema=schema)) == {"total": 220, "discount": -3}


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema: dict[str, object] = {"properties": {"next": {"$ref": "#"}, "total": {"type": "number"}}}
    assert json.loads(ask("", till_receipt(), schema=schema))["total"] == 220


def test_an_ambiguous_date_is_not_forced_into_a_format() -> None:
    schema = {"properties": {"date": {"type": ["string", "null"], "format": "date"}}}
    assert json.loads(ask("", page("Date: 05/03/2018", "TOTAL 5.00"), schema=schema)) == {"date": None}


def test_a_value_of_another_type_is_not_bent() -> None:
    schema = {"properties": {"total": {"type": "integer"}, "merchant": {"type": "number"}}}
    assert json.loads(ask("", english_receipt(), schema=schema)) == {"total": None, "merchant": None}


def test_without_a_picture_all_is_null() -> None:
    assert json.loads(ask("", schema={"properties": {"total": {"type": "number"}}})) == {"total": None}


def test_an_object_within_itself_is_proven_once() -> None:
    node = {
        "type": "object",
        "properties": {
            "total": {"type": "number"},
            "child": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        },
    }
    schema = {"type": "object", "properties": {"node": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    found = json.loads(ask("", english_receipt(), schema=schema))
    assert found == {"node": {"total": 10.6, "child": None}}


def test_all_parts_of_a_schema_count_and_bounds_are_kept() -> None:
    number = {"type": ["number", "null"]}
    schema = {
        "type": "object",
        "allOf": [{"properties": {"total": number}}, {"properties": {"date": {"type": "string"}}}],
        "properties": {"tax": {**number, "minimum": 100}, "subtotal": {**number, "exclusiveMaximum": 10.0}},
    }
    found = json.loads(ask("", english_receipt(), schema=schema))
    assert found == {"tax": None, "subtotal": None, "total": 10.6, "date": "25/03/2018"}


def test_fields_have_the_names_of_a_json_object() -> None:
    receipt = page("ACME SDN BHD", "Invoice No: INV-12345", ((40, "Total"), (850, "7.50")))
    plain = json.loads(ask("", receipt, json_object=True))
    assert plain == {"merchant": "ACME SDN BHD", "number": "INV-12345", "total": 7.5}
    schema = {"type": "object", "properties": {name: {} for name in plain}}
    filled = json.loads(ask("", receipt, schema=schema))
    assert filled == plain | {"total": "7.50"}
