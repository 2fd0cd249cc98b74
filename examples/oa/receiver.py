"""An approval form that fills itself: takes approved documents from vlpro's webhook, and shows each as a form.

Only Python's standard library; copy what you need into your office system. Run it with the secret that the setting
VLPRO_DELIVERY has for this target, then open http://127.0.0.1:8710/ :

    OA_SECRET=a-long-shared-secret python examples/oa/receiver.py
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Forms", "RefusedError", "form_of", "handler", "verified"]

OLDEST_S = 300
LARGEST = 4_000_000  # bytes of a request

# The form's fields, each with the names that it may have in a document, best first.
FORM = {
    "Payee 收款方": ("seller", "merchant", "store", "company"),
    "Date 日期": ("date",),
    "Document no. 单据号": ("number", "serial", "ticket_number"),
    "Amount 金额": ("total", "amount", "price", "fare"),
    "Tax 税额": ("tax",),
    "Buyer 购买方": ("buyer",),
}


class RefusedError(Exception):
    """A request that is not taken; its text is the reason."""


def verified(secret: str, headers: Any, body: bytes, now: float) -> dict[str, Any]:
    """What the service sent, once it is certain that it did.

    Args:
        secret: Shared with the service.
        headers: Of the request.
        body: Of the request, as it came: not parsed and written again.
        now: Unix time.

    Raises:
        RefusedError: It did not, or somebody sends an old request again.
    """
    stamp, given = headers.get("x-vlpro-timestamp", ""), headers.get("x-vlpro-signature", "")
    wanted = "v1=" + hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, given):
        raise RefusedError("the signature is wrong")
    if not stamp.isdigit() or abs(now - int(stamp)) > OLDEST_S:
        raise RefusedError("the request is too old")
    event: dict[str, Any] = json.loads(body)
    return event


def form_of(document: dict[str, Any]) -> dict[str, str]:
    """The approval form of a document, as far as it can be filled."""
    fields = document["fields"]
    filled = {}
    for label, names in FORM.items():
        values = (fields[name]["normalized"] for name in names if name in fields)
        filled[label] = next((value for value in values if value), "")
    return filled


class Forms:
    """Forms by delivery: what comes twice is one form.

    Args:
        path: Of a SQLite file.
    """

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS forms (key TEXT PRIMARY KEY, document TEXT, reference TEXT, form TEXT)"
        )

    def add(self, key: str, event: dict[str, Any]) -> bool:
        """Take an event; whether it is new."""
        document = event["data"]
        reference = (document.get("metadata") or {}).get("form", "")
        row = (key, document["id"], reference, json.dumps(form_of(document), ensure_ascii=False))
        with self._database:
            made = self._database.execute("INSERT OR IGNORE INTO forms VALUES (?, ?, ?, ?)", row)
        return made.rowcount == 1

    def all(self) -> list[tuple[str, str, dict[str, str]]]:
        """Document, reference and form of each, the newest first."""
        rows = self._database.execute("SELECT document, reference, form FROM forms ORDER BY rowid DESC")
        return [(document, reference, json.loads(form)) for document, reference, form in rows]


def handler(
    secret: str, forms: Forms, clock: Callable[[], float] = time.time
) -> type[BaseHTTPRequestHandler]:
    """What answers requests: ``POST`` takes a document, ``GET /`` shows the forms."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            if length > LARGEST:
                self._answer(413, "text/plain", "too large")
                return
            body = self.rfile.read(length)
            try:
                event = verified(secret, self.headers, body, clock())
            except RefusedError as error:
                self._answer(401, "text/plain", str(error))
                return
            if event["type"] == "extraction.approved":
                forms.add(self.headers.get("idempotency-key") or event["id"], event)
            # Also for a type that this example has no use for: otherwise it would be sent again and again.
            self._answer(200, "application/json", '{"received": true}')

        def do_GET(self) -> None:
            self._answer(200, "text/html; charset=utf-8", page(forms))

        def _answer(self, status: int, media: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("content-type", media)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            sys.stderr.write(f"{self.address_string()} {format % args}\n")

    return Handler


def page(forms: Forms) -> str:
    """All forms as a page."""
    cards = []
    for document, reference, form in forms.all():
        rows = "".join(
            f"<label>{escape(label)}<input value='{escape(value, quote=True)}'></label>"
            for label, value in form.items()
        )
        title = escape(reference or document)
        cards.append(f"<form><h2>{title}</h2>{rows}<button type=button>Submit 提交审批</button></form>")
    style = (
        "body{font:15px/1.6 sans-serif;max-width:560px;margin:24px auto;padding:0 16px}"
        "form{border:1px solid #d9dfe6;border-radius:10px;padding:16px;margin:16px 0}"
        "label{display:grid;margin:8px 0}input{font:inherit;padding:6px 10px}h2{font-size:16px;margin:0}"
    )
    return (
        f"<!doctype html><html lang=zh><meta charset=utf-8><title>OA</title><style>{style}</style>"
        f"<h1>Expense approval 费用报销</h1>{''.join(cards) or '<p>Nothing yet. 暂无单据。</p>'}"
    )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8710)
    parser.add_argument("--file", default="oa.sqlite", help="where the forms are kept")
    given = parser.parse_args()
    secret = os.environ.get("OA_SECRET", "")
    if len(secret) < 16:
        parser.error("set OA_SECRET to the target's secret, 16 characters or more")
    with ThreadingHTTPServer(("127.0.0.1", given.port), handler(secret, Forms(given.file))) as server:
        print(f"http://127.0.0.1:{given.port}/")
        server.serve_forever()


if __name__ == "__main__":
    main()
