"""A conversation as a file to keep: Markdown to read, JSON to process."""

from __future__ import annotations

from datetime import datetime

from vlpro.schema import Conversation, Message
from vlpro.ui.markdown import harmless, inert
from vlpro.ui.strings import Language, text

__all__ = ["as_json", "as_markdown", "places"]


def as_json(conversation: Conversation) -> str:
    """Everything that the service tells of a conversation; pictures by size and hash, without their pixels."""
    return conversation.model_dump_json(indent=2)


def as_markdown(conversation: Conversation, language: Language, now: datetime) -> str:
    """Questions and answers, with the pictures' hashes and the places that the answers name.

    Whatever opens the file fetches nothing for it: links and pictures in texts are parted, as on the page.

    Args:
        conversation: With its messages.
        language: Of the headings.
        now: Time of the export, in the reader's zone.
    """
    lines = [f"# {harmless(conversation.title) or text('untitled', language)}", ""]
    lines += [text("export.made", language, time=now.strftime("%Y-%m-%d %H:%M:%S")), ""]
    number = 0
    for message in conversation.messages:
        who = "export.you" if message.role == "user" else "assistant"
        time = datetime.fromtimestamp(message.created, now.tzinfo).strftime("%Y-%m-%d %H:%M:%S")
        lines += [f"## {text(who, language)} · {time}", ""]
        for image in message.images:
            number += 1
            size = {"number": number, "width": image.width, "height": image.height, "sha256": image.sha256}
            lines.append(f"- {text('export.picture', language, **size)}")
        if message.images:
            lines.append("")
        if message.text:
            lines += [inert(message.text), ""]
        if message.error:
            sentence = (message.error.vlpro or {}).get("zh") if language == "zh" else None
            lines += [f"> {sentence or message.error.message}", ""]
        found = [harmless(line) for line in places(message, language)]
        lines += [*found, *([""] if found else [])]
    return "\n".join(lines).rstrip() + "\n"


def places(message: Message, language: Language) -> list[str]:
    """A line for each place that an answer names: which picture, where in its pixels, and what."""
    lines = []
    for place in message.vlpro.grounding if message.vlpro else []:
        where = ", ".join(f"{value:.0f}" for value in place.box or place.point or ())
        said = " ".join(part for part in (place.label, place.text) if part)
        lines.append(f"- {text('picture', language, number=place.image)} [{where}] {said}".rstrip())
    return lines
