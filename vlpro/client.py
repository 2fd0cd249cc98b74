"""The API's client, for the page and for Python programs: typed calls over HTTP, or straight into an application.

A page that runs inside the service calls the API in memory (:class:`AppTransport`): the same door, with the same
authentication, limits and checks, but without a socket, so that it also works where the service may open none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from vlpro import account_schema, audit_schema, batch_schema, extraction_schema, report_schema, schema
from vlpro import inspection_schema as inspecting
from vlpro.errors import VlproError

__all__ = [
    "ADDRESS_HEADER",
    "BACKGROUND_HEADER",
    "IN_PROCESS",
    "SESSION_COOKIE",
    "ApiError",
    "AppTransport",
    "Client",
    "RoleFilter",
    "connect_in_process",
    "in_process",
]

ADDRESS_HEADER = "x-vlpro-address"
"""Where the person before the page is, as the service saw it; from elsewhere it is overwritten."""
BACKGROUND_HEADER = "x-vlpro-background"
"""The page asks by itself: a session that does only this goes idle."""
SESSION_COOKIE = "__Host-vlpro_session"
"""The cookie of who is signed in; its prefix keeps it to this host, and to TLS."""
IN_PROCESS = "vlpro.in_process"
"""The key of an ASGI scope that was made here, not by a server."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
Reply = TypeVar("Reply", bound=BaseModel)
RoleFilter = account_schema.RoleName | Literal["none"]


class ApiError(VlproError):
    """The API refused or failed.

    Args:
        error: The error object of the answer.
        status: HTTP status; 0 where there was no answer at all.
        request_id: To give to the administrator; empty where there was no answer.
    """

    def __init__(self, error: schema.ErrorBody, *, status: int, request_id: str) -> None:
        super().__init__(
            error.message, zh=(error.vlpro or {}).get("zh", ""), param=error.param, code=error.code
        )
        self.error = error
        self.status = status
        self.request_id = request_id


class AppTransport(httpx.BaseTransport):
    """Carries requests into an ASGI application that runs in another thread's event loop.

    Args:
        app: The application, with all of its middleware.
        loop: The loop in which it runs.
        timeout_s: Seconds to wait for a whole answer.
    """

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, timeout_s: float = 30.0) -> None:
        self._app = app
        self._loop = loop
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and wait for its whole answer (streams are collected).

        Raises:
            httpx.TransportError: The application did not answer.
        """
        work = self._call(request, request.read())
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop is closed
            work.close()
            raise httpx.ConnectError("the service has stopped", request=request) from error
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise httpx.ReadTimeout("the service did not answer in time", request=request) from error
        except CancelledError as error:
            raise httpx.ReadError("the service stopped before it answered", request=request) from error

    async def _call(self, request: httpx.Request, body: bytes) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            IN_PROCESS: True,
            "server": (request.url.host, request.url.port or 80),
            "state": {},
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answered = asyncio.Event()
        status, headers, pieces = 500, [], []

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
                if not message.get("more_body"):
                    answered.set()

        try:
            await self._app(scope, receive, send)
        # As a server would: what was answered stands, the rest is the service's log.
        except Exception as error:
            if not answered.is_set():
                raise httpx.ReadError("the service failed", request=request) from error
        return httpx.Response(status, headers=headers, content=b"".join(pieces))


_local: AppTransport | None = None


def connect_in_process(app: App | None, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Say which application :func:`in_process` reaches; None when the service stops.

    Called by the service at its start: Streamlit runs the page's script in the service's own process, and gives
    it no other way to learn of the application around it.
    """
    global _local  # noqa: PLW0603 - one service a process; see above
    _local = AppTransport(app, loop) if app is not None and loop is not None else None


def in_process() -> httpx.BaseTransport:
    """The transport into the service that this very process runs.

    Raises:
        RuntimeError: This process runs no service.
    """
    if _local is None:
        raise RuntimeError("this process runs no service: start it with `streamlit run app.py`")
    return _local


class Client:
    """Calls of the API that are this product's own; for chat completions use any OpenAI client.

    Args:
        base_url: Of the service, without ``/v1``.
        transport: As of httpx; :func:`in_process` for the page.
        key: API key, if one is needed.
        timeout_s: Seconds to wait for an answer.
        headers: More headers for every request.

    Every method raises :class:`ApiError` where the API refuses or does not answer.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8501",
        *,
        transport: httpx.BaseTransport | None = None,
        key: str | None = None,
        timeout_s: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        sent = {**(headers or {}), **({"authorization": f"Bearer {key}"} if key else {})}
        self._http = httpx.Client(
            base_url=base_url, transport=transport, headers=sent, timeout=timeout_s, trust_env=False
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

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

    # --- many files at once

    def add_file(self, name: str, data: bytes | BinaryIO, purpose: batch_schema.Purpose) -> batch_schema.File:
        """Send a file for a batch.

        Args:
            name: What it is called.
            data: Its bytes, or a file that is open to read.
            purpose: ``batch``: requests, one a line; ``user_data``: a picture, a PDF, or a zip archive of them.
        """
        return self._call(
            batch_schema.File,
            "POST",
            "/v1/files",
            data={"purpose": purpose},
            files={"file": (name, data, "application/octet-stream")},
        )

    def delete_file(self, file_id: str) -> batch_schema.FileDeleted:
        """Delete a file that no batch reads."""
        return self._call(batch_schema.FileDeleted, "DELETE", f"/v1/files/{_part(file_id)}")

    def new_batch(self, asked: batch_schema.NewBatch) -> batch_schema.Batch:
        """Begin a batch."""
        return self._send(batch_schema.Batch, "/v1/batches", asked)

    def batches(self, *, after: str = "", limit: int = 20) -> batch_schema.BatchList:
        """One's own batches, the newest first.

        Args:
            after: Id of the last one of the page before.
            limit: How many at most, up to 100.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(batch_schema.BatchList, "GET", "/v1/batches", params=asked)

    def batch(self, batch_id: str) -> batch_schema.Batch:
        """One batch, with its progress."""
        return self._call(batch_schema.Batch, "GET", f"/v1/batches/{_part(batch_id)}")

    def change_batch(self, batch_id: str, what: Literal["pause", "resume", "cancel"]) -> batch_schema.Batch:
        """Pause a batch, go on with it, or end it."""
        return self._call(batch_schema.Batch, "POST", f"/v1/batches/{_part(batch_id)}/{what}")

    def delete_batch(self, batch_id: str) -> schema.Deleted:
        """Delete a batch that has ended, with its results."""
        return self._call(schema.Deleted, "DELETE", f"/v1/batches/{_part(batch_id)}")

    def batch_lines(
        self, batch_id: str, *, after: int = 0, limit: int = 50, status: str = ""
    ) -> batch_schema.BatchLineList:
        """What became of a batch's lines.

        Args:
            batch_id: Of the batch.
            after: Number of the last line before.
            limit: How many at most, up to 200.
            status: Only those that are waiting, completed or failed; empty: all.
        """
        asked = {"after": after, "limit": limit, **({"status": status} if status else {})}
        path = f"/v1/batches/{_part(batch_id)}/lines"
        return self._call(batch_schema.BatchLineList, "GET", path, params=asked)

    def batch_results(
        self,
        batch_id: str,
        format: batch_schema.ExportFormat,  # noqa: A002 - the API's word
        language: Literal["zh", "en"] = "zh",
    ) -> bytes:
        """A batch's results as one file; that they are taken is recorded."""
        path = f"/v1/batches/{_part(batch_id)}/results"
        try:
            reply = self._http.get(path, params={"format": format, "language": language})
        except httpx.HTTPError as error:
            raise _no_answer() from error
        if not reply.is_success:
            raise _refused(reply)
        return reply.content

    # --- documents as fields

    def extract(self, asked: extraction_schema.NewExtraction) -> extraction_schema.ExtractionInfo:
        """Read a document as fields."""
        return self._call(
            extraction_schema.ExtractionInfo,
            "POST",
            "/v1/extractions",
            content=asked.model_dump_json(exclude_none=True, by_alias=True).encode(),
            headers={"content-type": "application/json"},
        )

    def extractions(
        self, *, states: Sequence[str] = (), after: str = "", limit: int = 50
    ) -> extraction_schema.ExtractionList:
        """Results that one may see, the newest first.

        Args:
            states: open, approved or returned; none: all.
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"state": list(states), "limit": limit, **({"after": after} if after else {})}
        return self._call(extraction_schema.ExtractionList, "GET", "/v1/extractions", params=asked)

    def extraction(self, extraction_id: str) -> extraction_schema.ExtractionInfo:
        """One result."""
        return self._call(extraction_schema.ExtractionInfo, "GET", f"/v1/extractions/{_part(extraction_id)}")

    def extraction_templates(self) -> extraction_schema.TemplateList:
        """The kinds of documents, and the systems that results can be sent to."""
        return self._call(extraction_schema.TemplateList, "GET", "/v1/extractions/templates")

    def correct_extraction(
        self, extraction_id: str, asked: extraction_schema.FieldCorrections
    ) -> extraction_schema.ExtractionInfo:
        """Put other values in place of what was read."""
        path = f"/v1/extractions/{_part(extraction_id)}/fields"
        return self._send(extraction_schema.ExtractionInfo, path, asked, method="PUT")

    def approve_extraction(
        self, extraction_id: str, asked: extraction_schema.NewApproval
    ) -> extraction_schema.ExtractionInfo:
        """Say that a result is right."""
        path = f"/v1/extractions/{_part(extraction_id)}/approve"
        return self._send(extraction_schema.ExtractionInfo, path, asked)

    def return_extraction(
        self, extraction_id: str, asked: extraction_schema.NewReturn
    ) -> extraction_schema.ExtractionInfo:
        """Send a result back, with a reason."""
        path = f"/v1/extractions/{_part(extraction_id)}/return"
        return self._send(extraction_schema.ExtractionInfo, path, asked)

    def delete_extraction(self, extraction_id: str) -> schema.Deleted:
        """Delete a result of one's own."""
        return self._call(schema.Deleted, "DELETE", f"/v1/extractions/{_part(extraction_id)}")

    def deliver_extraction(self, extraction_id: str, target: str) -> extraction_schema.DeliveryInfo:
        """Send an approved result to a system that the settings name."""
        path = f"/v1/extractions/{_part(extraction_id)}/deliveries"
        return self._send(extraction_schema.DeliveryInfo, path, extraction_schema.NewDelivery(target=target))

    def retry_delivery(self, extraction_id: str, delivery_id: str) -> extraction_schema.DeliveryInfo:
        """Try a delivery again."""
        path = f"/v1/extractions/{_part(extraction_id)}/deliveries/{_part(delivery_id)}/retry"
        return self._call(extraction_schema.DeliveryInfo, "POST", path)

    # --- pictures of boards and equipment

    def inspect(self, asked: inspecting.NewInspection) -> inspecting.Inspection:
        """Inspect a picture."""
        return self._send(inspecting.Inspection, "/v1/inspections", asked)

    def inspections(self, *, after: str = "", limit: int = 50) -> inspecting.InspectionList:
        """One's own inspections, the newest first.

        Args:
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(inspecting.InspectionList, "GET", "/v1/inspections", params=asked)

    def inspection(self, inspection_id: str) -> inspecting.Inspection:
        """One inspection."""
        return self._call(inspecting.Inspection, "GET", f"/v1/inspections/{_part(inspection_id)}")

    def inspection_picture(self, inspection_id: str) -> bytes:
        """The inspected picture with its defects drawn on it, a JPEG."""
        path = f"/v1/inspections/{_part(inspection_id)}/picture"
        try:
            reply = self._http.get(path)
        except httpx.HTTPError as error:
            raise _no_answer() from error
        if not reply.is_success:
            raise _refused(reply)
        return reply.content

    def decide_inspection(
        self, inspection_id: str, verdict: Literal["pass", "fail"]
    ) -> inspecting.Inspection:
        """Say what a person found when looking at it."""
        body = inspecting.InspectionDecision(verdict=verdict)
        return self._send(inspecting.Inspection, f"/v1/inspections/{_part(inspection_id)}/decision", body)

    def delete_inspection(self, inspection_id: str) -> schema.Deleted:
        """Delete an inspection with its picture."""
        return self._call(schema.Deleted, "DELETE", f"/v1/inspections/{_part(inspection_id)}")

    def golden_templates(self) -> inspecting.GoldenTemplateList:
        """One's own golden pictures, by product."""
        return self._call(inspecting.GoldenTemplateList, "GET", "/v1/inspections/templates")

    def put_golden_template(
        self, product: str, asked: inspecting.NewGoldenTemplate
    ) -> inspecting.GoldenTemplate:
        """Store the golden picture of a product."""
        path = f"/v1/inspections/templates/{_part(product)}"
        return self._send(inspecting.GoldenTemplate, path, asked, method="PUT")

    def delete_golden_template(self, product: str) -> schema.Deleted:
        """Delete the golden picture of a product."""
        return self._call(schema.Deleted, "DELETE", f"/v1/inspections/templates/{_part(product)}")

    def inspection_alerts(
        self, *, state: inspecting.AlertState | None = None, after: str = "", limit: int = 50
    ) -> inspecting.InspectionAlertList:
        """One's own alerts, the newest first.

        Args:
            state: Only those; None: all.
            after: ``next`` of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"limit": limit, **({"after": after} if after else {}), **({"state": state} if state else {})}
        return self._call(inspecting.InspectionAlertList, "GET", "/v1/inspections/alerts", params=asked)

    def acknowledge_alert(self, alert_id: str, note: str = "") -> inspecting.InspectionAlert:
        """Say that somebody saw to an alert."""
        path = f"/v1/inspections/alerts/{_part(alert_id)}/acknowledge"
        return self._send(inspecting.InspectionAlert, path, inspecting.Acknowledgement(note=note))

    # --- many pictures, reported on

    def make_report(self, asked: report_schema.NewReport) -> report_schema.Report:
        """Report on pictures; at once, which may take minutes (``timeout_s``), or in the background."""
        return self._send(report_schema.Report, "/v1/reports", asked)

    def reports(self, *, after: str = "", limit: int = 20) -> report_schema.ReportList:
        """One's own reports, the newest first.

        Args:
            after: ``next`` of the page before.
            limit: How many at most, up to 100.
        """
        asked = {"limit": limit, **({"after": after} if after else {})}
        return self._call(report_schema.ReportList, "GET", "/v1/reports", params=asked)

    def report(self, report_id: str) -> report_schema.Report:
        """One report; it may still be being made."""
        return self._call(report_schema.Report, "GET", f"/v1/reports/{_part(report_id)}")

    def cancel_report(self, report_id: str) -> report_schema.Report:
        """Stop a report that is being made."""
        return self._call(report_schema.Report, "POST", f"/v1/reports/{_part(report_id)}/cancel")

    def delete_report(self, report_id: str) -> schema.Deleted:
        """Delete a report with its pictures."""
        return self._call(schema.Deleted, "DELETE", f"/v1/reports/{_part(report_id)}")

    # --- one's own account; in profile local there is none, and all of these are 404

    def account(self) -> account_schema.OwnAccount:
        """Who asks, and what they may do."""
        return self._call(account_schema.OwnAccount, "GET", "/v1/account")

    def own_sessions(self) -> account_schema.SessionList:
        """One's own sessions."""
        return self._call(account_schema.SessionList, "GET", "/v1/account/sessions")

    def end_own_session(self, session_id: str) -> schema.Deleted:
        """End one of one's own sessions."""
        return self._call(schema.Deleted, "DELETE", f"/v1/account/sessions/{_part(session_id)}")

    def end_other_sessions(self) -> account_schema.Ended:
        """End all of one's own sessions but this one."""
        return self._call(account_schema.Ended, "DELETE", "/v1/account/sessions")

    def keys(self) -> account_schema.KeyList:
        """One's own API keys."""
        return self._call(account_schema.KeyList, "GET", "/v1/account/keys")

    def new_key(self, asked: account_schema.NewKey) -> account_schema.WithSecret:
        """Make a key; its secret is told now and never again."""
        return self._send(account_schema.WithSecret, "/v1/account/keys", asked)

    def revoke_key(self, key_id: str) -> schema.Deleted:
        """Revoke a key of one's own."""
        return self._call(schema.Deleted, "DELETE", f"/v1/account/keys/{_part(key_id)}")

    # --- accounts and sessions, for administrators

    def accounts(
        self, query: str = "", *, role: RoleFilter | None = None, after: str = "", limit: int = 200
    ) -> account_schema.AccountList:
        """Accounts by login.

        Args:
            query: Part of a login, name or department.
            role: Only those with this role, or with none.
            after: The last login of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"query": query, "after": after, "limit": limit, **({"role": role} if role else {})}
        return self._call(account_schema.AccountList, "GET", "/v1/accounts", params=asked)

    def account_of(self, account_id: str) -> account_schema.Account:
        """One account."""
        return self._call(account_schema.Account, "GET", f"/v1/accounts/{_part(account_id)}")

    def new_account(self, asked: account_schema.NewAccount) -> account_schema.WithPassword:
        """Make an account; its one-time password is told now and never again."""
        return self._send(account_schema.WithPassword, "/v1/accounts", asked)

    def alter_account(self, account_id: str, change: account_schema.AccountChange) -> account_schema.Account:
        """Correct what is known of a person."""
        return self._send(account_schema.Account, f"/v1/accounts/{_part(account_id)}", change, method="PUT")

    def disable_account(self, account_id: str) -> account_schema.Account:
        """End an account's sessions and keys; it signs in no more."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{_part(account_id)}/disable")

    def enable_account(self, account_id: str) -> account_schema.Account:
        """Let a disabled account sign in again."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{_part(account_id)}/enable")

    def unlock_account(self, account_id: str) -> account_schema.Account:
        """Forget an account's failed sign-ins."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{_part(account_id)}/unlock")

    def reset_password(self, account_id: str) -> account_schema.WithPassword:
        """Give a person a one-time password, which is told now and never again."""
        path = f"/v1/accounts/{_part(account_id)}/reset-password"
        return self._call(account_schema.WithPassword, "POST", path)

    def reset_factors(self, account_id: str) -> account_schema.Account:
        """Remove a person's second factors."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{_part(account_id)}/reset-factors")

    def grant_role(self, account_id: str, role: account_schema.RoleName | None) -> account_schema.Account:
        """Give an account a role, another one, or none; its sessions and keys end."""
        path, change = f"/v1/accounts/{_part(account_id)}/role", account_schema.RoleChange(role=role)
        return self._send(account_schema.Account, path, change, method="PUT")

    def set_level(self, account_id: str, level: account_schema.LevelName) -> account_schema.Account:
        """Say up to which level somebody may read."""
        path, change = f"/v1/accounts/{_part(account_id)}/level", account_schema.LevelChange(level=level)
        return self._send(account_schema.Account, path, change, method="PUT")

    def sessions(self, account_id: str | None = None) -> account_schema.SessionList:
        """Sessions that live, the last used first, 200 at most; ``account_id``: whose."""
        asked = {"account": account_id} if account_id else {}
        return self._call(account_schema.SessionList, "GET", "/v1/sessions", params=asked)

    def end_session(self, session_id: str) -> schema.Deleted:
        """End somebody's session."""
        return self._call(schema.Deleted, "DELETE", f"/v1/sessions/{_part(session_id)}")

    def end_sessions_of(self, account_id: str) -> account_schema.Ended:
        """End all sessions of an account."""
        return self._call(account_schema.Ended, "DELETE", f"/v1/accounts/{_part(account_id)}/sessions")

    # --- the policy

    def policy(self) -> account_schema.PolicyVersion:
        """The version in force."""
        return self._call(account_schema.PolicyVersion, "GET", "/v1/policy")

    def decide_policy(self, asked: account_schema.NewPolicy) -> account_schema.PolicyVersion:
        """Put a new version in force."""
        return self._send(account_schema.PolicyVersion, "/v1/policy", asked, method="PUT")

    def policy_versions(self) -> account_schema.PolicyVersionList:
        """All versions, the newest first."""
        return self._call(account_schema.PolicyVersionList, "GET", "/v1/policy/versions")

    def policy_changes(self, old: int, new: int) -> account_schema.ChangeList:
        """What differs between two versions."""
        asked = {"old": old, "new": new}
        return self._call(account_schema.ChangeList, "GET", "/v1/policy/changes", params=asked)

    # --- the audit, for its administrator

    def audit_records(
        self,
        *,
        event: str = "",
        outcome: str = "",
        login: str = "",
        session: str = "",
        address: str = "",
        object: str = "",  # noqa: A002 - the record's word
        since: float | None = None,
        until: float | None = None,
        text: str = "",
        before: int | None = None,
    ) -> audit_schema.AuditRecordList:
        """Records that match, the newest first, fifty at most. What was asked for is recorded, too.

        Args:
            event: Its name, or its beginning up to a colon. What is left empty, here and below, does not matter.
            outcome: ok, refused or failed.
            login: Whose.
            session: Id of a session or a key.
            address: Where from.
            object: To what.
            since: Unix time, from.
            until: Unix time, before.
            text: Anywhere in the record.
            before: Only those with smaller numbers, as the page before says.
        """
        given = {
            "event": event,
            "outcome": outcome,
            "login": login,
            "session": session,
            "address": address,
            "object": object,
            "since": since,
            "until": until,
            "text": text,
            "before": before,
        }
        asked = {name: value for name, value in given.items() if value not in ("", None)}
        return self._call(audit_schema.AuditRecordList, "GET", "/v1/audit/records", params=asked)

    def audit_record(self, seq: int) -> audit_schema.AuditRecord:
        """One record."""
        return self._call(audit_schema.AuditRecord, "GET", f"/v1/audit/records/{seq}")

    def audit_content(self, seq: int, reason: str) -> audit_schema.AuditContent:
        """What people wrote, where it is kept; the look is recorded, with its reason."""
        asked = audit_schema.ContentReason(reason=reason)
        return self._send(audit_schema.AuditContent, f"/v1/audit/records/{seq}/content", asked)

    def audit_standing(self) -> audit_schema.AuditStanding:
        """How much is recorded and signed; what was refused within a day."""
        return self._call(audit_schema.AuditStanding, "GET", "/v1/audit/standing")

    def audit_verification(self) -> audit_schema.AuditVerification:
        """The verification of the record that goes on, and the last one that ended."""
        return self._call(audit_schema.AuditVerification, "GET", "/v1/audit/verification")

    def verify_audit(self) -> audit_schema.AuditVerification:
        """Begin to verify the whole stored record."""
        return self._call(audit_schema.AuditVerification, "POST", "/v1/audit/verification")

    def stop_audit_verification(self) -> audit_schema.AuditVerification:
        """End the verification that goes on, if one does."""
        return self._call(audit_schema.AuditVerification, "POST", "/v1/audit/verification/stop")

    def new_audit_export(self, asked: audit_schema.NewAuditExport) -> audit_schema.AuditExport:
        """Say what is to be taken out of the record, and why; the file can then be fetched once."""
        return self._send(audit_schema.AuditExport, "/v1/audit/exports", asked)

    def audit_export_file(self, export_id: str, write: Callable[[bytes], object]) -> None:
        """Fetch the file of an export, in pieces.

        Args:
            export_id: Of :meth:`new_audit_export`.
            write: Is given the pieces; if this method raises, they are no whole file.
        """
        path = f"/v1/audit/exports/{_part(export_id)}/file"
        try:
            with self._http.stream("GET", path) as reply:
                if not reply.is_success:
                    reply.read()
                    raise _refused(reply)
                for piece in reply.iter_bytes():
                    write(piece)
        except httpx.HTTPError as error:
            raise _no_answer() from error

    # ---

    def _send(self, kind: type[Reply], path: str, body: BaseModel, *, method: str = "POST") -> Reply:
        # A change says everything it sets, null too; what begins something leaves out what it does not ask for.
        return self._call(
            kind,
            method,
            path,
            content=body.model_dump_json(exclude_none=method == "POST").encode(),
            headers={"content-type": "application/json"},
        )

    def _call(self, kind: type[Reply], method: str, path: str, **arguments: Any) -> Reply:
        try:
            reply = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _no_answer() from error
        if not reply.is_success:
            raise _refused(reply)
        try:
            return kind.model_validate_json(reply.content)
        except ValidationError as error:
            raise _no_answer(reply.status_code, reply.headers.get("x-request-id", "")) from error


def _part(identifier: str) -> str:
    """An id as one part of a path."""
    return quote(identifier, safe="")


def _refused(reply: httpx.Response) -> ApiError:
    """What an answer that is no success says."""
    request_id = reply.headers.get("x-request-id", "")
    try:
        body = schema.ErrorEnvelope.model_validate_json(reply.content).error
    except ValidationError:
        return _no_answer(reply.status_code, request_id)
    return ApiError(body, status=reply.status_code, request_id=request_id)


def _no_answer(status: int = 0, request_id: str = "") -> ApiError:
    body = schema.ErrorBody(
        message="The service does not answer. Try again shortly.",
        type="server_error",
        code="no_answer",
        vlpro={"zh": "服务没有响应，请稍后重试。"},
    )
    return ApiError(body, status=status, request_id=request_id)
