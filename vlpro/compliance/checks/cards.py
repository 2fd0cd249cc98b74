"""What the cards of this machine hold of a conversation before and after it is cleared (8.1.4.10 b, F3)."""

from __future__ import annotations

import time
from typing import Any

import httpx

from vlpro.compliance.checks.served import address_of, client_of
from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.scratch import picture
from vlpro.engines.hardware import probe

__all__ = ["GPU"]

_ANSWER_S = 120.0
_LOOK_S = 0.25
_MIB = 2**20


def _gpu(context: Context) -> Finding:
    cards = len(probe().cards)
    if not cards:
        raise NotEvaluatedError("No GPU here.", "本机没有 GPU。", {"gpus": 0})
    if not context.key:
        raise NotEvaluatedError(
            "The running service must be asked, by somebody: put an API key of a user, with the scope for "
            "conversations, into VLPRO_KEY.",
            "需要以某个用户的身份向运行中的服务提问：请将一个带对话权限的用户 API 密钥放入 VLPRO_KEY。",
            {"gpus": cards, "key": False},
        )
    url, _, _ = address_of(context)
    with client_of(context, url) as http:
        http.headers["authorization"] = f"Bearer {context.key}"
        try:
            receipt = _cleared(http)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise NotEvaluatedError(
                f"{url} could not be asked and cleared: {error}.",
                f"无法在 {url} 提问并清除：{error}。",
                {"url": url},
            ) from error
    return _judged(receipt)


def _cleared(http: httpx.Client) -> dict[str, Any]:
    """Ask about a picture, clear the conversation; its receipt."""
    image = _sent(http, "POST", "/v1/images", content=picture(448, 448))["id"]
    talk = _sent(http, "POST", "/v1/conversations", json={})["id"]
    try:
        _sent(
            http,
            "POST",
            f"/v1/conversations/{talk}/messages",
            json={"text": "Describe it.", "images": [image]},
        )
        until = time.monotonic() + _ANSWER_S
        while _sent(http, "GET", f"/v1/conversations/{talk}")["busy"] and time.monotonic() < until:
            time.sleep(_LOOK_S)
    finally:
        receipt = _sent(http, "DELETE", f"/v1/conversations/{talk}")
    return receipt


def _sent(http: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    return dict(http.request(method, path, **options).raise_for_status().json())


def _judged(receipt: dict[str, Any]) -> Finding:
    engine = receipt["engine"]
    used = {when: sum(card["memory_used"] for card in receipt[when]["gpus"]) for when in ("before", "after")}
    facts = {"engine": engine, "used_bytes": used}
    if engine is None or not engine["entries"]:
        raise NotEvaluatedError(
            "The engine kept nothing of the conversation that could be dropped; another server's memory is not seen "
            "from here.",
            "引擎没有保留该对话的内容，无可清除；其他服务器的显存在此无法查看。",
            facts,
        )
    if not engine["confirmed"]:
        raise NotEvaluatedError(
            "The engine was busy, and drops the conversation before its next question. Try again.",
            "引擎正忙，将在下一次提问前清除。请稍后重试。",
            facts,
        )
    freed = used["before"] - used["after"]
    if freed <= 0:
        raise FailedError(
            f"The engine dropped {engine['bytes'] / _MIB:.0f} MiB, but the cards hold no less than before.",
            f"引擎清除了 {engine['bytes'] / _MIB:.0f} MiB，但显存占用没有减少。",
            facts,
        )
    return Finding(
        Sentence(
            f"A question about a picture was asked on the running service, and cleared: the engine dropped "
            f"{engine['bytes'] / _MIB:.0f} MiB, the cards hold {freed / _MIB:.0f} MiB less than before.",
            f"在运行中的服务上就图片提问并清除：引擎清除 {engine['bytes'] / _MIB:.0f} MiB，"
            f"显存占用减少 {freed / _MIB:.0f} MiB。",
        ),
        facts,
    )


GPU = Check(
    "gpu_memory",
    Sentence(
        "On the running service: a picture is asked about, and the conversation cleared; memory of the cards before "
        "and after, as the receipt says.",
        "在运行中的服务上：就图片提问后清除对话，按回执比较清除前后的显存。",
    ),
    _gpu,
)
