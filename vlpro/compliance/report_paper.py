"""A compliance report as a document for people: Chinese first, English below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from vlpro.compliance.report import Content
from vlpro.compliance.report_words import SCOPES, VERDICTS, WORDS
from vlpro.documents.document import Block, Document, Heading, Paragraph, Table

__all__ = ["document_of"]

Pair = Mapping[str, str]


def document_of(content: Content) -> Document:
    """The document.

    Args:
        content: The report, with the keys that will sign it under ``keys``.
    """
    created = datetime.fromtimestamp(content["created"], UTC)
    blocks: list[Block] = [
        Paragraph(_both(content["standard"])),
        Paragraph(_word("disclaimer"), small=True),
        Heading(_line(WORDS["summary"])),
        Table(
            [_word("result"), _word("count"), _word("meaning")],
            [
                (_both(pair), str(content["totals"][name]), _word(f"meaning.{name}"))
                for name, pair in VERDICTS.items()
            ],
            (2, 1, 6),
        ),
        Heading(_line(WORDS["about"])),
        Table((), list(_about(content, created)), (2, 5)),
        Heading(_line(WORDS["changes"])),
        *_changes(content),
        Heading(_line(WORDS["clauses"])),
        Table(
            (_word("clause"), "", _word("scope"), _word("result")),
            [
                (
                    each["id"],
                    _both(each["title"]),
                    _both(SCOPES[each["scope"]]),
                    _both(VERDICTS[each["verdict"]]),
                )
                for each in content["clauses"]
            ],
            (2, 4, 3, 2),
        ),
    ]
    for group in content["groups"]:
        number = f"{group['id']} " if group["id"][0].isdigit() else ""
        blocks.append(Heading(number + _line(group["title"]), 2))
        for clause in content["clauses"]:
            if clause["group"] == group["id"]:
                blocks += _clause(clause)
    blocks += [Heading(_line(WORDS["duties"])), Paragraph(_word("duties.about")), _duties(content)]
    blocks += [
        Heading(_line(WORDS["verify"])),
        Paragraph(_word("verify.about")),
        Paragraph(f"vlpro comply verify {content['id']} --key {content['keys']['ed25519']}"),
    ]
    return Document(_line(WORDS["title"]), blocks, "zh", created)


def _about(content: Content, created: datetime) -> Iterator[tuple[str, str]]:
    product, keys = content["product"], content["keys"]
    yield _word("id"), content["id"]
    yield _word("created"), f"{created:%Y-%m-%d %H:%M:%S} UTC"
    yield _word("by"), content["by"]
    yield _word("host"), content["host"]
    yield _word("product"), f"{product['name']} {product['version']}"
    yield _word("profile"), content["profile"]
    yield _word("settings"), content["settings"]["sha256"]
    yield _word("key"), keys["ed25519"]
    if keys.get("sm2"):
        yield _word("sm2"), keys["sm2"]


def _changes(content: Content) -> list[Block]:
    changes = content["changes"]
    if changes["since"] is None:
        return [Paragraph(_word("changes.first"))]
    since = Paragraph(f"{_line(WORDS['since'])}: {changes['since']}")
    if not changes["clauses"]:
        return [since, Paragraph(_word("changes.none"))]

    def told(verdict: str | None) -> str:
        return _both(VERDICTS[verdict]) if verdict else _word("absent")

    rows = [(each["id"], told(each["from"]), told(each["to"])) for each in changes["clauses"]]
    return [since, Table((_word("clause"), _word("from"), _word("to")), rows)]


def _clause(clause: Mapping[str, object]) -> Iterator[Block]:
    title, asked, duty, checks = clause["title"], clause["asked"], clause["duty"], clause["checks"]
    assert isinstance(title, dict) and isinstance(asked, dict) and isinstance(checks, list)  # noqa: S101, PT018
    verdict, scope = VERDICTS[str(clause["verdict"])], SCOPES[str(clause["scope"])]
    yield Heading(f"{clause['id']} {_line(title)}", 3)
    yield Paragraph(_line(verdict), bold=True)
    yield Paragraph(f"{_line(WORDS['asked'])}\n{_both(asked)}")
    yield Paragraph(f"{_line(WORDS['scope'])}: {_line(scope)}", small=True)
    if not checks:
        yield Paragraph(_word("no_checks"))
    for check in checks:
        rows = [
            (_word("check"), check["name"]),
            (_word("result"), _line(VERDICTS[check["verdict"]])),
            (_word("how"), _both(check["how"])),
            (_word("found"), _both(check["found"])),
            (_word("evidence"), _evidence(check["evidence"])),
        ]
        yield Table((), rows, (2, 7))
    if isinstance(duty, dict):
        yield Paragraph(_line(WORDS["duty"]), bold=True)
        yield Paragraph(_both(duty))


def _evidence(evidence: Mapping[str, str]) -> str:
    lines = [evidence["file"], f"SHA-256 {evidence['sha256']}"]
    return "\n".join([*lines, f"SM3 {evidence['sm3']}"] if "sm3" in evidence else lines)


def _duties(content: Content) -> Table:
    rows = [
        (
            f"{each['id']} {_both(each['title'])}",
            _both(SCOPES[each["scope"]]),
            _both(each["duty"]) if each["duty"] else _word("no_checks"),
        )
        for each in content["clauses"]
        if each["duty"] or each["scope"] == "O"
    ]
    return Table((_word("clause"), _word("scope"), _word("duty")), rows, (3, 2, 5))


def _word(key: str) -> str:
    return _both(WORDS[key])


def _both(pair: Pair) -> str:
    return f"{pair['zh']}\n{pair['en']}"


def _line(pair: Pair) -> str:
    return f"{pair['zh']} {pair['en']}"
