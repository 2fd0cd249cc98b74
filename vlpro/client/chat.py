"""Pictures, conversations and what the service is doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vlpro import schema
from vlpro.client.calls import Calls
from vlpro.schema import accounts as account_schema

__all__ = ["ChatCalls"]


class ChatCalls(Calls):
    """Pictures, conversations and what the service is doing."""

    def status(self) -> schema.Status:
        """What the service and its machine are doing."""
        return self._call(schema.Status, "GET", "/v1/status")

    def prompts(self) -> schema.PromptList:
        """Questions for an engine that sees."""
        return self._call(schema.PromptList, "GET", "/v1/prompts")

    def add_image(
        self, data: bytes, *, conversation: str = "", after: Sequence[str] = ()
    ) -> schema.ImageInfo:
        """Put a picture into the service's memory; the engine begins to read it.

        Args:
            data: The file: JPEG, PNG, BMP or WebP.
            conversation: Id of the conversation in which it will be asked about; empty: of a new one.
            after: Ids of the pictures that come before it in the same question.
        """
        return self._call(
            schema.ImageInfo,
            "POST",
            "/v1/images",
            params={"conversation": conversation, "after": list(after)},
            content=data,
            headers={"content-type": "application/octet-stream"},
        )

    def delete_image(self, image_id: str) -> schema.Deleted:
        """Remove a picture that no conversation uses."""
        return self._call(schema.Deleted, "DELETE", f"/v1/images/{image_id}")

    def conversations(self, *, after: str = "", limit: int = 50) -> schema.ConversationList:
        """Conversations, last used first, without their messages.

        Args:
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(schema.ConversationList, "GET", "/v1/conversations", params=asked)

    def search_conversations(self, text: str, *, limit: int = 50) -> schema.SearchResult:
        """Find words in one's own conversations."""
        asked = schema.NewSearch(text=text, limit=limit)
        return self._send(schema.SearchResult, "/v1/conversations/search", asked)

    def rename_conversation(self, conversation_id: str, title: str) -> schema.Conversation:
        """Give a conversation another title."""
        path, change = f"/v1/conversations/{conversation_id}", schema.ConversationChange(title=title)
        return self._send(schema.Conversation, path, change, method="PUT")

    def clear_conversations(self) -> schema.ClearedAll:
        """Delete all of one's own conversations."""
        return self._call(schema.ClearedAll, "DELETE", "/v1/conversations")

    def conversation(self, conversation_id: str) -> schema.Conversation:
        """One conversation with its messages; the last one may still be growing."""
        return self._call(schema.Conversation, "GET", f"/v1/conversations/{conversation_id}")

    def new_conversation(
        self, title: str = "", *, level: account_schema.LevelName | None = None
    ) -> schema.Conversation:
        """Begin a conversation; ``level``: how confidential it is, as much as the person may read if left out."""
        asked = schema.NewConversation(title=title, level=level)
        return self._send(schema.Conversation, "/v1/conversations", asked)

    def ask(self, conversation_id: str, question: schema.NewMessage) -> schema.Message:
        """Ask; returns the answer's message at once, to be read again while it grows."""
        return self._send(schema.Message, f"/v1/conversations/{conversation_id}/messages", question)

    def answer(self, conversation_id: str, message_id: str) -> schema.Message:
        """One message as it is now."""
        return self._call(schema.Message, "GET", f"/v1/conversations/{conversation_id}/messages/{message_id}")

    def stop(self, conversation_id: str) -> schema.Conversation:
        """End the answer that is being generated; what was written stays."""
        return self._call(schema.Conversation, "POST", f"/v1/conversations/{conversation_id}/stop")

    def export(self, conversation_id: str, kind: Literal["markdown", "json"]) -> schema.Conversation:
        """A conversation with its messages, to be taken out; that it was is recorded."""
        body = schema.NewExport(format=kind)
        return self._send(schema.Conversation, f"/v1/conversations/{conversation_id}/exports", body)

    def clear(self, conversation_id: str) -> schema.Cleared:
        """Delete a conversation and free its pictures and what the engine kept of it."""
        return self._call(schema.Cleared, "DELETE", f"/v1/conversations/{conversation_id}")
