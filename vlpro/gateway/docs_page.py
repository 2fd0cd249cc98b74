"""``GET /v1/docs``: the API as a page without scripts, fonts or anything else from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.responses import HTMLResponse

__all__ = ["docs_page"]

_STYLE = """
body{font:15px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
summary{cursor:pointer;padding:.4rem 0}code,pre{font:13px/1.5 ui-monospace,monospace}
pre{overflow:auto;padding:1rem;border:1px solid #8888;border-radius:6px}b{display:inline-block;min-width:4.5rem}
"""


def docs_page(app: FastAPI) -> Callable[[], Awaitable[HTMLResponse]]:
    """The route's function for an application's own OpenAPI document."""

    async def docs() -> HTMLResponse:
        document = app.openapi()
        rows = [
            _row(method, path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]
        schemas = html.escape(json.dumps(document["components"]["schemas"], indent=2, ensure_ascii=False))
        return HTMLResponse(
            f"<!doctype html><html lang=en><meta charset=utf-8><title>API</title><style>{_STYLE}</style>"
            f"<h1>{html.escape(app.title)} API</h1><p>The same as a document for tools: "
            f'<a href="openapi.json">openapi.json</a>.</p>{"".join(rows)}'
            f"<details><summary>All shapes</summary><pre>{schemas}</pre></details></html>"
        )

    return docs


def _row(method: str, path: str, operation: dict[str, object]) -> str:
    detail = {key: operation[key] for key in ("parameters", "requestBody", "responses") if key in operation}
    return (
        f"<details><summary><b>{method.upper()}</b> <code>/v1{html.escape(path)}</code> "
        f"{html.escape(str(operation.get('description', '')))}</summary>"
        f"<pre>{html.escape(json.dumps(detail, indent=2, ensure_ascii=False))}</pre></details>"
    )
