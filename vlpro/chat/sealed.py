"""What is stored of a conversation, as bytes before they are sealed; and where each sealed value belongs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from pydantic_core import from_json

from vlpro import errors
from vlpro.chat.conversations import StoredMessage
from vlpro.chat.fitting import Shown
from vlpro.chat.grounding import Place
from vlpro.chat.material import Citation
from vlpro.chat.pictures import PictureNote
from vlpro.chat.service import Timing
from vlpro.engines.interface import Usage
from vlpro.errors import EngineError, VlproError
from vlpro.identity.labels import Level

__all__ = [
    "broken_off",
    "head_place",
    "key_place",
    "message_bytes",
    "message_of",
    "message_place",
    "picture_place",
    "read",
    "readable",
    "said_in",
]


def key_place(conversation: str, owner: str, level: int) -> str:
    """Of a wrapped data key: a conversation that is given to somebody else, or a lower level, does not open."""
    return f"conversations.key:{conversation}:{owner}:{Level(level).word}"


def head_place(conversation: str) -> str:
    """Of title and versions."""
    return f"conversations.head:{conversation}"


def message_place(conversation: str, number: int) -> str:
    """Of a message."""
    return f"messages.data:{conversation}:{number}"


def picture_place(conversation: str, picture: str) -> str:
    """Of a kept picture."""
    return f"kept_pictures.data:{conversation}:{picture}"


def message_bytes(message: StoredMessage) -> bytes:
    """A message as it is stored: two lines of JSON, in the first what a search reads; what is empty is left out."""
    error = message.error
    said = readable(message)
    told: dict[str, Any] = {
        "raw": message.raw if message.raw != said else None,
        "created": message.created,
        "state": message.state,
        "request_id": message.request_id,
        "language": message.language,
        "bases": list(message.bases),
        "finish_reason": message.finish_reason,
        "usage": asdict(message.usage) if message.usage else None,
        "timing": asdict(message.timing) if message.timing else None,
        "places": [asdict(place) for place in message.grounding],
        "citations": [asdict(citation) for citation in message.citations],
        "shown": [asdict(shown) for shown in message.shown],
        "pictures": [_note(picture.note) for picture in message.pictures],
        "error": _error(error) if error is not None else None,
    }
    kept = {name: value for name, value in told.items() if value not in (None, [], "")}
    return _json([message.id, message.role, said]) + b"\n" + _json(kept)


def message_of(data: bytes, version: int, stored: frozenset[str] = frozenset()) -> StoredMessage:
    """The message of these bytes.

    Args:
        data: As :func:`message_bytes` made them.
        version: Of the row.
        stored: Ids of the pictures that the store has.
    """
    name, role, said = said_in(data)
    told = read(data.partition(b"\n")[2])
    return StoredMessage(
        role=role,
        raw=told.get("raw", said),
        id=name,
        created=told["created"],
        state=told["state"],
        request_id=told.get("request_id", ""),
        language=told.get("language"),
        bases=tuple(told.get("bases", ())),
        finish_reason=told.get("finish_reason"),
        usage=_made(Usage, told.get("usage")),
        timing=_made(Timing, told.get("timing")),
        grounding=tuple(_place(place) for place in told.get("places", ())),
        citations=tuple(_citation(citation) for citation in told.get("citations", ())),
        shown=tuple(Shown(**shown) for shown in told.get("shown", ())),
        pictures=tuple(PictureNote(**note, stored=note["id"] in stored) for note in told.get("pictures", ())),
        error=_error_of(told["error"]) if "error" in told else None,
        version=version,
    )


def said_in(data: bytes) -> tuple[str, Literal["user", "assistant"], str]:
    """Of a message's bytes its id, who speaks, and what can be read, without making the rest of it."""
    name, role, said = from_json(data.partition(b"\n")[0])
    return name, role, said


def read(data: bytes) -> dict[str, Any]:
    """JSON."""
    told: dict[str, Any] = from_json(data)
    return told


def readable(message: StoredMessage) -> str:
    """Everything of a message that a person may look for: its text, and what stands at the places it names."""
    found = [" ".join(filter(None, (place.label, place.text))) for place in message.grounding]
    return "\n".join([message.text, *found]) if found else message.text


def broken_off() -> EngineError:
    """Why an answer has no end whose process was gone before."""
    return EngineError(
        "The service was restarted while this answer was being written. Ask again.",
        zh="生成这个回答时服务重启了，请重新提问。",
        code="broken_off",
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _note(note: PictureNote) -> dict[str, Any]:
    return {name: value for name, value in asdict(note).items() if name != "stored"}


def _place(told: Mapping[str, Any]) -> Place:
    lists = {name: tuple(told[name]) for name in ("box", "point") if told.get(name) is not None}
    return Place(**{**told, **lists})


def _citation(told: Mapping[str, Any]) -> Citation:
    return Citation(**{**told, "boxes": tuple(tuple(box) for box in told["boxes"])})


def _made(kind: Callable[..., Any], fields: Mapping[str, Any] | None) -> Any:
    return kind(**fields) if fields is not None else None


def _error(error: VlproError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "zh": error.zh,
        "param": error.param,
        "code": error.code,
    }


def _error_of(told: Mapping[str, Any]) -> VlproError:
    kind = getattr(errors, str(told["kind"]), VlproError)
    error: VlproError = kind.__new__(kind)
    VlproError.__init__(error, told["message"], zh=told["zh"], param=told["param"], code=told["code"])
    return error
