"""Every word that a person reads, in Chinese and English: a file a page or subject.

A key that begins with the name of a file stands in that file, and no key stands in two.
"""

from collections.abc import Mapping

from vlpro.ui.texts import (
    accounts,
    audit,
    batches,
    chat,
    common,
    compliance,
    composer,
    engine,
    events,
    fields,
    history,
    inspections,
    knowledge,
    me,
    people,
    policy,
    policy_settings,
    receipts,
    report,
    roles,
    sessions,
    status,
    verification,
    viewer,
)

__all__ = ["SUBJECTS"]

SUBJECTS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "common": common.TEXTS,
    "people": people.TEXTS,
    "chat": chat.TEXTS,
    "composer": composer.TEXTS,
    "viewer": viewer.TEXTS,
    "history": history.TEXTS,
    "status": status.TEXTS,
    "receipts": receipts.TEXTS,
    "inspections": inspections.TEXTS,
    "batches": batches.TEXTS,
    "report": report.TEXTS,
    "knowledge": knowledge.TEXTS,
    "accounts": accounts.TEXTS,
    "sessions": sessions.TEXTS,
    "engine": engine.TEXTS,
    "policy": policy.TEXTS,
    "policy_settings": policy_settings.TEXTS,
    "roles": roles.TEXTS,
    "me": me.TEXTS,
    "audit": audit.TEXTS,
    "verification": verification.TEXTS,
    "events": events.TEXTS,
    "fields": fields.TEXTS,
    "compliance": compliance.TEXTS,
}
"""Chinese and English, by key, by file."""
