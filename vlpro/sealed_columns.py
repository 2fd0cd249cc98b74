"""Every column that holds what a :class:`~vlpro.crypto.Sealer` made: what a rotation of keys goes through.

A new such column belongs here, or its values are lost when their key is retired.
"""

from __future__ import annotations

from vlpro.audit import tables as audit
from vlpro.audit.recorder import content_place
from vlpro.chat.sealed import key_place
from vlpro.chat.tables import conversations
from vlpro.crypto.stored import SealedColumn
from vlpro.identity import tables as identity
from vlpro.knowledge.document import base_key_place, document_key_place
from vlpro.knowledge.tables import knowledge_bases, knowledge_documents
from vlpro.workflows.batch import tables as batch
from vlpro.workflows.batch.files import file_key_place
from vlpro.workflows.batch.store import batch_key_place
from vlpro.workflows.delivery.outbox import body_place
from vlpro.workflows.delivery.tables import deliveries
from vlpro.workflows.extraction.store import extraction_place
from vlpro.workflows.extraction.tables import extractions
from vlpro.workflows.inspection import tables as inspection
from vlpro.workflows.inspection.alert_store import alert_place
from vlpro.workflows.inspection.store import inspection_place
from vlpro.workflows.inspection.template_store import template_place
from vlpro.workflows.report.store import report_place
from vlpro.workflows.report.tables import reports

__all__ = ["AUDIT", "MAIN"]

MAIN = (
    SealedColumn(
        identity.totps.c.secret, identity.totps.c.account, lambda row: f"totps.secret:{row.key_of_row}"
    ),
    SealedColumn(
        identity.sign_ins.c.offer,
        identity.sign_ins.c.token,
        lambda row: f"offer:{row.account}",
        (identity.sign_ins.c.account,),
    ),
    SealedColumn(
        identity.sessions.c.offer,
        identity.sessions.c.id,
        lambda row: f"offer:{row.account}",
        (identity.sessions.c.account,),
    ),
    SealedColumn(
        conversations.c.key,
        conversations.c.id,
        lambda row: key_place(row.key_of_row, row.owner, row.level),
        (conversations.c.owner, conversations.c.level),
    ),
    SealedColumn(
        extractions.c.key,
        extractions.c.id,
        lambda row: extraction_place(row.key_of_row, row.owner, row.level),
        (extractions.c.owner, extractions.c.level),
    ),
    SealedColumn(deliveries.c.body, deliveries.c.id, lambda row: body_place(row.key_of_row)),
    SealedColumn(
        inspection.inspections.c.key,
        inspection.inspections.c.id,
        lambda row: inspection_place(row.key_of_row, row.owner, row.level),
        (inspection.inspections.c.owner, inspection.inspections.c.level),
    ),
    SealedColumn(
        inspection.golden_templates.c.key,
        inspection.golden_templates.c.id,
        lambda row: template_place(row.key_of_row, row.owner, row.level),
        (inspection.golden_templates.c.owner, inspection.golden_templates.c.level),
    ),
    SealedColumn(
        inspection.inspection_alerts.c.data,
        inspection.inspection_alerts.c.id,
        lambda row: alert_place(row.key_of_row, row.owner, row.level, row.state),
        (
            inspection.inspection_alerts.c.owner,
            inspection.inspection_alerts.c.level,
            inspection.inspection_alerts.c.state,
        ),
    ),
    SealedColumn(
        batch.files.c.key,
        batch.files.c.id,
        lambda row: file_key_place(row.key_of_row, row.owner, row.level),
        (batch.files.c.owner, batch.files.c.level),
    ),
    SealedColumn(
        batch.batches.c.key,
        batch.batches.c.id,
        lambda row: batch_key_place(row.key_of_row, row.owner, row.level),
        (batch.batches.c.owner, batch.batches.c.level),
    ),
    SealedColumn(
        reports.c.key,
        reports.c.id,
        lambda row: report_place(row.key_of_row, row.owner, row.level),
        (reports.c.owner, reports.c.level),
    ),
    SealedColumn(
        knowledge_bases.c.key,
        knowledge_bases.c.id,
        lambda row: base_key_place(row.key_of_row, row.owner, row.level),
        (knowledge_bases.c.owner, knowledge_bases.c.level),
    ),
    SealedColumn(
        knowledge_documents.c.key,
        knowledge_documents.c.id,
        lambda row: document_key_place(row.key_of_row, row.base),
        (knowledge_documents.c.base,),
    ),
)
"""Of the service's database."""

AUDIT = (SealedColumn(audit.contents.c.data, audit.contents.c.id, lambda row: content_place(row.key_of_row)),)
"""Of the audit's database."""
