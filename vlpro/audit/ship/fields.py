"""Elastic Common Schema: what kind of event each of ours is."""

from __future__ import annotations

__all__ = ["TYPES", "kinds"]

TYPES = {
    "api": {
        "access",
        "admin",
        "allowed",
        "change",
        "creation",
        "deletion",
        "denied",
        "end",
        "info",
        "start",
        "user",
    },
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "database": {"access", "change", "info", "error"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "process": {"access", "change", "end", "info", "start"},
    "session": {"start", "end", "info"},
    "web": {"access", "error", "info"},
}
"""Categories of ours, and the types that ECS 8 lets each have."""

_CATEGORIES = {
    "audit": ["database"],
    "system": ["process"],
    "engine": ["process"],
    "identity": ["iam"],
    "identity:session": ["authentication", "session"],
    "policy": ["configuration"],
    "gateway": ["web"],
    "chat": ["api"],
    "alert": ["intrusion_detection"],
}
_VERBS = {
    "start": {"begun", "started", "loaded"},
    "end": {"ended", "stopped", "completed", "unloaded"},
    "creation": {"created"},
    "deletion": {"cleared", "deleted", "revoked", "removed"},
    "change": {"changed", "granted", "set", "decided", "jumped"},
    "access": {"asked", "downloaded", "exported", "queried", "read", "verified", "viewed"},
}


def kinds(event: str, outcome: str) -> tuple[list[str], list[str]]:
    """Categories and types of an event.

    An event that is new here gets its source's category, and ``info`` where its verb says nothing.

    Args:
        event: As ``source:subject:action``.
        outcome: ``ok``, ``refused`` or ``failed``.
    """
    source, subject, action = [*event.split(":"), "", ""][:3]
    if action == "given":  # a second factor belongs to a sign-in
        categories = ["authentication"]
    elif subject == "factor":
        categories = ["iam"]
    else:
        categories = _CATEGORIES.get(f"{source}:{subject}") or _CATEGORIES.get(source, ["process"])
    allowed = set.union(*(TYPES[category] for category in categories))
    words = {kind for kind, verbs in _VERBS.items() if action in verbs}
    if outcome == "refused":
        words.add("denied")
    if outcome == "failed":
        words.add("error")
    return categories, sorted(words & allowed) or ["info"]
