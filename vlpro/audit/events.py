"""What can happen, as ``source:subject:action``."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Event", "Outcome"]


class Outcome(StrEnum):
    """How it ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class Event(StrEnum):
    """The vocabulary; what is not in it cannot be recorded."""

    LOG_BEGUN = "audit:log:begun"
    LOG_QUERIED = "audit:log:queried"
    LOG_VERIFIED = "audit:log:verified"
    LOG_EXPORTED = "audit:log:exported"
    LOG_EXPORT_ENDED = "audit:export:ended"
    LOG_ARCHIVED = "audit:log:archived"
    SIGNING_CHANGED = "audit:signing:changed"
    CONTENT_VIEWED = "audit:content:viewed"
    SERVICE_STARTED = "system:service:started"
    SERVICE_STOPPED = "system:service:stopped"
    CLOCK_JUMPED = "system:clock:jumped"
    KEYS_CHANGED = "system:keys:changed"
    MODEL_VERIFIED = "engine:model:verified"
    MODEL_LOADED = "engine:model:loaded"
    SETUP_COMPLETED = "identity:setup:completed"
    SIGN_IN = "identity:session:begun"
    SIGN_OUT = "identity:session:ended"
    SECOND_FACTOR = "identity:factor:given"
    FACTOR_CHANGED = "identity:factor:changed"
    PASSWORD_CHANGED = "identity:password:changed"  # noqa: S105 - an event
    KEY_CREATED = "identity:key:created"
    KEY_REVOKED = "identity:key:revoked"
    ACCOUNT_CREATED = "identity:account:created"
    ACCOUNT_CHANGED = "identity:account:changed"
    ROLE_GRANTED = "identity:role:granted"
    LEVEL_SET = "identity:level:set"
    POLICY_DECIDED = "policy:version:decided"
    REQUEST_REFUSED = "gateway:request:refused"
    EGRESS_REFUSED = "egress:connection:refused"
    ASKED = "chat:question:asked"
    ANSWERED = "chat:answer:completed"
    CONVERSATION_CLEARED = "chat:conversation:cleared"
    CONVERSATION_DAMAGED = "chat:conversation:damaged"
    CONVERSATION_EXPORTED = "chat:conversation:exported"
    WORKFLOW_STARTED = "workflow:run:started"
    WORKFLOW_COMPLETED = "workflow:run:completed"
    WORKFLOW_DECIDED = "workflow:result:decided"
    WORKFLOW_EXPORTED = "workflow:result:exported"
    WORKFLOW_DELIVERED = "workflow:result:delivered"
    BATCH_CHANGED = "workflow:batch:changed"
    TEMPLATE_CHANGED = "workflow:template:changed"
    FINDING_RAISED = "workflow:alert:raised"
    FINDING_ACKNOWLEDGED = "workflow:alert:acknowledged"
    KNOWLEDGE_CHANGED = "knowledge:base:changed"
    KNOWLEDGE_SEARCHED = "knowledge:base:searched"
    DOCUMENT_CHANGED = "knowledge:document:changed"
    PAGE_VIEWED = "knowledge:page:viewed"
    ALERT_RAISED = "alert:rule:raised"
    COMPLIANCE_CREATED = "compliance:report:created"
    COMPLIANCE_READ = "compliance:report:read"
    COMPLIANCE_DELETED = "compliance:report:deleted"
    BACKUP_CREATED = "backup:archive:created"
    BACKUP_VERIFIED = "backup:archive:verified"
    BACKUP_RESTORED = "backup:archive:restored"
