"""Templates: what a kind of document is recognised by, which fields it has, where they stand, what must agree.

A template is a YAML file; docs/extraction.md describes its keys. The product's own lie in ``templates``; a company's
lie in a folder of its own, and one of the same name takes the place of ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import regex
import yaml

from vlpro.errors import ConfigError

__all__ = [
    "CHECKS",
    "CUSTOM",
    "Column",
    "Field",
    "Identity",
    "Rule",
    "Source",
    "Template",
    "Title",
    "ValueType",
    "json_schema",
    "load_template",
    "load_templates",
]

CUSTOM = "custom"
"""Name of the template that a caller's own JSON Schema stands for."""

ValueType = Literal[
    "text", "name", "date", "time", "amount", "words", "number", "percent", "digits", "code", "tax_id", "phone",
    "email", "url", "choice",
]  # fmt: skip

CHECKS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "total_in_words": (frozenset({"total", "words"}), frozenset()),
    "sum": (frozenset({"parts", "total"}), frozenset({"less", "within"})),
    "tax_rate": (frozenset({"net", "tax"}), frozenset({"rate", "column", "net_column", "tax_column"})),
    "items_sum": (frozenset({"column", "total"}), frozenset({"less"})),
    "line_amounts": (frozenset({"price", "quantity", "amount"}), frozenset()),
    "date_valid": (frozenset({"date"}), frozenset()),
    "credit_code": (frozenset({"code"}), frozenset()),
    "format": (frozenset({"field", "pattern"}), frozenset({"when", "absent"})),
    "qr_code": (frozenset({"fields"}), frozenset()),
}
"""The checks that a template can ask for, with the keys that each must and may have."""

_LARGEST = 262_144  # bytes of a template's file
_MOST_FIELDS = 100
_LONGEST_PATTERN = 500
_LOOKS = ("same", "right", "below", "above")


@dataclass(frozen=True, slots=True)
class Title:
    """A name for people."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Source:
    """One place where a value may stand.

    Args:
        kind: ``field``: what the engine's own rules found; ``label``: beside a label; ``pattern``: text of this
            form; ``row``: one of the figures of a row of this form; ``qr``: in the tax administration's code.
        names: Of the field, the labels, or the part of the code.
        pattern: For ``pattern`` and ``row``; its group ``value`` is the value, else the first group, else all.
        look: Where a label's value may stand, seen from the label, in this order.
        area: ``(x1, y1, x2, y2)`` of the page, each 0 to 1, in which the value (or its label) must stand.
        take: Which figure of the row, from 0; negative from the end.
        rows: The pattern is for whole rows, not for single cells.
        labelled: Of a field that the engine's rules found: only where a label of the page announces it.
        sure: What the reading's confidence is multiplied with.
    """

    kind: Literal["field", "label", "pattern", "row", "qr"]
    names: tuple[str, ...] = ()
    pattern: regex.Pattern[str] | None = None
    look: tuple[str, ...] = ("same", "right", "below")
    area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    take: int = -1
    rows: bool = False
    labelled: bool = False
    sure: float = 1.0


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a document.

    Args:
        name: Stable name.
        title: For people.
        type: What the value is; it decides how it is normalised.
        required: Whether a document without it is not complete.
        sources: Where to look, best first.
        form: What the normalised value must look like as a whole; None: anything of its type.
        choices: For ``choice``: normalised values with the patterns of the words that mean them.
        default: For ``choice``: the value where no words say so; empty: none.
    """

    name: str
    title: Title
    type: ValueType = "text"
    required: bool = False
    sources: tuple[Source, ...] = ()
    form: regex.Pattern[str] | None = None
    choices: Mapping[str, tuple[regex.Pattern[str], ...]] = field(default_factory=dict)
    default: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of items.

    Args:
        name: Stable name.
        title: For people.
        type: As for a field.
        role: What the engine calls it: ``name``, ``spec``, ``unit``, ``quantity``, ``unit_price``, ``amount``,
            ``tax_rate``, ``tax``, ``number``, ``discount`` or ``date``.
    """

    name: str
    title: Title
    type: ValueType
    role: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One check that the template asks for.

    Args:
        check: Its kind: a key of :data:`CHECKS`.
        name: Stable name in the result; the kind where the template gives none.
        arguments: Names of fields, and what else the check needs.
        optional: Left out where the page lacks one of its fields; otherwise it then counts as not checked.
        soft: Where it does not hold, it counts as not checked: a line may not have been read.
    """

    check: str
    name: str
    arguments: Mapping[str, Any]
    optional: bool = False
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Which fields together make a document this one and no other.

    Args:
        fields: All of them must be there.
        when: Only where these fields have one of these values.
    """

    fields: tuple[str, ...]
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of document.

    Args:
        name: Stable name.
        title: For people.
        words: Patterns that tell such a page, each with its weight; a negative one speaks against.
        least: Sum of weights from which a page is taken for such a document.
        fields: In the order in which they are shown.
        columns: Of the table of items; none where it has no table.
        rules: What must agree.
        identities: The first that applies tells whether the same document was seen before.
        simplified: The form is mainland China's, so that a traditional character in it is a misread simplified one.
    """

    name: str
    title: Title
    words: tuple[tuple[regex.Pattern[str], float], ...]
    least: float
    fields: tuple[Field, ...]
    columns: tuple[Column, ...] = ()
    rules: tuple[Rule, ...] = ()
    identities: tuple[Identity, ...] = ()
    simplified: bool = False

    def field(self, name: str) -> Field:
        """The field of a name; raises KeyError where there is none."""
        return next(one for one in self.fields if one.name == name) if self.has(name) else _missing(name)

    def has(self, name: str) -> bool:
        """Whether there is a field of a name."""
        return any(one.name == name for one in self.fields)


def _missing(name: str) -> Field:
    raise KeyError(name)


def load_templates(folder: Path | None = None) -> Mapping[str, Template]:
    """All templates: the product's own, and those of a folder, which replace ours of the same name.

    Args:
        folder: Holds the company's own ``*.yaml`` files; None: none.

    Returns:
        Templates by name, sorted.

    Raises:
        ConfigError: A file is wrong; the message names the file and the key.
    """
    found: dict[str, Template] = {}
    ours = resources.files("vlpro.workflows.extraction") / "templates"
    for item in ours.iterdir():
        if item.name.endswith(".yaml"):
            template = load_template(item.read_text(encoding="utf-8"), item.name)
            found[template.name] = template
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(
                f"There is no folder of templates at {folder}.",
                zh=f"模板目录 {folder} 不存在。",
                param="templates",
            )
        for path in sorted(folder.glob("*.yaml")):
            if path.stat().st_size > _LARGEST:
                raise _error(path.name, "", f"is larger than {_LARGEST} bytes", f"超过 {_LARGEST} 字节")
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise _error(path.name, "", "is not UTF-8", "不是 UTF-8 编码") from error
            template = load_template(text, path.name)
            found[template.name] = template
    return dict(sorted(found.items()))


def load_template(text: str, file: str) -> Template:
    """One template.

    Args:
        text: Of the YAML file.
        file: Its name, for messages.

    Raises:
        ConfigError: It is wrong; the message names the file and the key.
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Safe)):
            raise _error(file, "", "uses aliases (*), which templates do not", "使用了别名（*），模板不支持")
        given = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise _error(file, where, f"is no YAML: {problem}", f"不是有效的 YAML：{problem}") from error
    return _Reader(file).template(given)


def json_schema(template: Template) -> dict[str, object]:
    """The JSON Schema by which an engine that sees gives the same fields, for ``response_format``.

    Args:
        template: Of the document.

    Returns:
        Every field a nullable string, as written on the page; items as a list of such objects.
    """

    def leaf(one: Field | Column) -> dict[str, object]:
        if isinstance(one, Field) and one.choices:
            return {"anyOf": [{"enum": [*one.choices]}, {"type": "null"}], "title": one.title.zh}
        return {"type": ["string", "null"], "title": one.title.zh, "description": one.title.en}

    properties: dict[str, object] = {one.name: leaf(one) for one in template.fields}
    if template.columns:
        columns = {one.name: leaf(one) for one in template.columns}
        properties["items"] = {
            "type": "array",
            "items": {
                "type": "object",
                "properties": columns,
                "required": [*columns],
                "additionalProperties": False,
            },
        }
    return {
        "type": "object",
        "title": template.title.en,
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


if TYPE_CHECKING:
    from yaml import SafeLoader as _Safe
else:  # ten times as fast, where libyaml is there: in all wheels
    _Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):
    """Refuses a key that stands twice, of which one would silently be lost; ``No`` and dates are texts (YAML 1.2)."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML wants it
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp"
            and not (tag == "tag:yaml.org,2002:bool" and first not in "tTfF")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := next((key for index, key in enumerate(keys) if key in keys[:index]), None):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _error(file: str, key: str, message: str, zh: str) -> ConfigError:
    at = f"{file}: {key}" if key else file
    return ConfigError(f"Template {at}: {message}.", zh=f"模板 {at}：{zh}。", param="templates")


class _Reader:
    """Turns what YAML gave into a template, and names the key of whatever is wrong."""

    def __init__(self, file: str) -> None:
        self._file = file

    def template(self, given: object) -> Template:
        keys = {"name", "title", "simplified", "recognise", "fields", "items", "checks", "identity"}
        root = self._object(given, "", keys, {"name", "title", "fields"})
        name = self._name(root["name"], "name")
        if name in {CUSTOM, "auto"}:
            raise self._wrong("name", f"{name} is taken", f"{name} 是保留名称")
        fields = self._fields(root["fields"])
        columns = self._columns(root.get("items", {}))
        words, least = self._recognise(root.get("recognise", {}))
        names = {one.name for one in fields}
        return Template(
            name=name,
            title=self._title(root["title"], "title"),
            words=words,
            least=least,
            fields=fields,
            columns=columns,
            rules=tuple(
                self._rule(rule, f"checks[{i}]", names, {one.name for one in columns})
                for i, rule in enumerate(self._list(root.get("checks", []), "checks"))
            ),
            identities=tuple(
                self._identity(one, f"identity[{i}]", names)
                for i, one in enumerate(self._list(root.get("identity", []), "identity"))
            ),
            simplified=self._flag(root.get("simplified", False), "simplified"),
        )

    def _recognise(self, given: object) -> tuple[tuple[tuple[regex.Pattern[str], float], ...], float]:
        part = self._object(given, "recognise", {"words", "least"}, set())
        words = []
        for text, weight in self._object(part.get("words", {}), "recognise.words").items():
            key = f"recognise.words.{text}"
            words.append((self._pattern(text, key), self._number(weight, key)))
        return tuple(words), self._number(part.get("least", 1), "recognise.least")

    def _fields(self, given: object) -> tuple[Field, ...]:
        parts = self._object(given, "fields")
        if not 1 <= len(parts) <= _MOST_FIELDS:
            raise self._wrong(
                "fields", f"must be 1 to {_MOST_FIELDS} fields", f"须有 1 至 {_MOST_FIELDS} 个字段"
            )
        return tuple(self._field(name, part) for name, part in parts.items())

    def _field(self, name: str, given: object) -> Field:
        key = f"fields.{name}"
        keys = {"title", "type", "required", "from", "form", "choices", "default"}
        part = self._object(given, key, keys, {"title"})
        kind = self._choice(part.get("type", "text"), f"{key}.type", get_args(ValueType))
        choices = {
            one: tuple(
                self._pattern(word, f"{key}.choices.{one}")
                for word in self._texts(words, f"{key}.choices.{one}")
            )
            for one, words in self._object(part.get("choices", {}), f"{key}.choices").items()
        }
        if bool(choices) != (kind == "choice"):
            raise self._wrong(
                f"{key}.choices", "belongs to type choice, and only to it", "仅用于且必须用于 choice 类型"
            )
        default = self._text(part.get("default", ""), f"{key}.default") if "default" in part else ""
        if default and default not in choices:
            raise self._wrong(f"{key}.default", "is none of the choices", "不在 choices 之中")
        return Field(
            name=self._name(name, key),
            title=self._title(part["title"], f"{key}.title"),
            type=kind,
            required=self._flag(part.get("required", False), f"{key}.required"),
            sources=tuple(
                self._source(source, f"{key}.from[{i}]")
                for i, source in enumerate(self._list(part.get("from", []), f"{key}.from"))
            ),
            form=self._pattern(part["form"], f"{key}.form") if "form" in part else None,
            choices=choices,
            default=default,
        )

    def _source(self, given: object, key: str) -> Source:
        kinds = {"field", "label", "pattern", "row", "qr"}
        part = self._object(given, key, kinds | {"look", "area", "take", "rows", "labelled", "sure"})
        named = [kind for kind in ("field", "label", "pattern", "row", "qr") if kind in part]
        if len(named) != 1:
            raise self._wrong(
                key,
                f"must have one of {', '.join(sorted(kinds))}",
                f"须恰有 {'、'.join(sorted(kinds))} 之一",
            )
        kind: Any = named[0]
        formed = kind in {"pattern", "row"}
        area = self._list(part.get("area", [0, 0, 1, 1]), f"{key}.area")
        if len(area) != 4:
            raise self._wrong(f"{key}.area", "must be four numbers", "须为四个数")
        x1, y1, x2, y2 = (self._number(side, f"{key}.area") for side in area)
        look = self._texts(part.get("look", ["same", "right", "below"]), f"{key}.look")
        for one in look:
            self._choice(one, f"{key}.look", _LOOKS)
        take = part.get("take", -1)
        if not isinstance(take, int):
            raise self._wrong(f"{key}.take", "must be a whole number", "须为整数")
        return Source(
            kind=kind,
            names=() if formed else self._texts(part[kind], f"{key}.{kind}"),
            pattern=self._pattern(part[kind], f"{key}.{kind}") if formed else None,
            look=look,
            area=(x1, y1, x2, y2),
            take=take,
            rows=self._flag(part.get("rows", False), f"{key}.rows"),
            labelled=self._flag(part.get("labelled", False), f"{key}.labelled"),
            sure=self._number(part.get("sure", 1), f"{key}.sure"),
        )

    def _columns(self, given: object) -> tuple[Column, ...]:
        parts = self._object(given, "items")
        columns = []
        for name, column in parts.items():
            key = f"items.{name}"
            part = self._object(column, key, {"title", "type", "role"}, {"title"})
            kind = self._choice(part.get("type", "text"), f"{key}.type", get_args(ValueType))
            role = self._name(part.get("role", name), f"{key}.role")
            columns.append(
                Column(self._name(name, key), self._title(part["title"], f"{key}.title"), kind, role)
            )
        return tuple(columns)

    def _rule(self, given: object, key: str, fields: set[str], columns: set[str]) -> Rule:
        part = dict(self._object(given, key))
        kind = self._choice(part.pop("check", None), f"{key}.check", (*CHECKS,))
        must, may = CHECKS[kind]
        name = self._name(part.pop("name", kind), f"{key}.name")
        optional = self._flag(part.pop("optional", False), f"{key}.optional")
        soft = self._flag(part.pop("soft", False), f"{key}.soft")
        for missing in sorted(must - part.keys()):
            raise self._wrong(f"{key}.{missing}", "is missing", "缺失")
        for unknown in sorted(part.keys() - must - may):
            raise self._wrong(f"{key}.{unknown}", "is not known here", "不是此处的键")
        for argument, value in part.items():
            at = f"{key}.{argument}"
            if argument in {"pattern", "within", "when", "absent"}:
                continue
            of_items = kind == "line_amounts" or argument in {"column", "net_column", "tax_column"}
            known = columns if of_items else fields
            for one in self._texts(value, at):
                self._choice(one, at, (*sorted(known),))
        if "pattern" in part:
            part["pattern"] = self._pattern(part["pattern"], f"{key}.pattern")
        if "within" in part:
            self._number(part["within"], f"{key}.within")
        if "when" in part:
            part["when"] = self._when(part["when"], f"{key}.when", fields)
        return Rule(kind, name, part, optional, soft)

    def _when(self, given: object, key: str, fields: set[str]) -> Mapping[str, tuple[str, ...]]:
        part = self._object(given, key, fields)
        return {name: self._texts(values, f"{key}.{name}") for name, values in part.items()}

    def _identity(self, given: object, key: str, fields: set[str]) -> Identity:
        part = self._object(given, key, {"fields", "when"}, {"fields"})
        names = self._texts(part["fields"], f"{key}.fields")
        for name in names:
            self._choice(name, f"{key}.fields", (*sorted(fields),))
        return Identity(names, self._when(part.get("when", {}), f"{key}.when", fields))

    # What every key is made of.

    def _wrong(self, key: str, message: str, zh: str) -> ConfigError:
        return _error(self._file, key, message, zh)

    def _object(
        self, given: object, key: str, allowed: set[str] | None = None, must: set[str] | None = None
    ) -> dict[str, Any]:
        if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
            raise self._wrong(key, "must be keys with values", "须为键值对")
        for unknown in sorted(given.keys() - allowed) if allowed is not None else ():
            at = f"{key}.{unknown}".strip(".")
            raise self._wrong(at, "is not known here", "不是此处的键")
        for missing in sorted((must or set()) - given.keys()):
            raise self._wrong(f"{key}.{missing}".strip("."), "is missing", "缺失")
        return given

    def _list(self, given: object, key: str) -> list[Any]:
        if not isinstance(given, list):
            raise self._wrong(key, "must be a list", "须为列表")
        return given

    def _text(self, given: object, key: str) -> str:
        if not isinstance(given, str) or not given.strip():
            raise self._wrong(key, "must be a text", "须为文本")
        return given

    def _texts(self, given: object, key: str) -> tuple[str, ...]:
        if isinstance(given, str):
            given = [given]
        return tuple(self._text(one, key) for one in self._list(given, key))

    def _name(self, given: object, key: str) -> str:
        name = self._text(given, key)
        if not regex.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
            raise self._wrong(
                key, f"{name!r} is no name (a-z, 0-9, _)", f"{name!r} 不是合法名称（a-z、0-9、_）"
            )
        return name

    def _title(self, given: object, key: str) -> Title:
        part = self._object(given, key, {"zh", "en"}, {"zh", "en"})
        return Title(self._text(part["zh"], f"{key}.zh"), self._text(part["en"], f"{key}.en"))

    def _flag(self, given: object, key: str) -> bool:
        if not isinstance(given, bool):
            raise self._wrong(key, "must be true or false", "须为 true 或 false")
        return given

    def _number(self, given: object, key: str) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise self._wrong(key, "must be a number", "须为数字")
        return float(given)

    def _choice(self, given: object, key: str, choices: Sequence[str]) -> Any:
        if given not in choices:
            raise self._wrong(
                key, f"{given!r} is none of {', '.join(choices)}", f"{given!r} 不在 {'、'.join(choices)} 之中"
            )
        return given

    def _pattern(self, given: object, key: str) -> regex.Pattern[str]:
        text = self._text(given, key)
        if len(text) > _LONGEST_PATTERN:
            raise self._wrong(key, f"is longer than {_LONGEST_PATTERN}", f"超过 {_LONGEST_PATTERN} 个字符")
        try:
            return regex.compile(text, regex.IGNORECASE | regex.VERSION0)
        except (regex.error, OverflowError, RecursionError) as error:
            raise self._wrong(key, f"is no pattern: {error}", f"不是有效的正则表达式：{error}") from error
