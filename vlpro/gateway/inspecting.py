"""The service of inspections, and what brings pictures to it, made from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.gateway.storage import Storage
from vlpro.identity.principal import Person
from vlpro.identity.service import Identity
from vlpro.imaging.picture import Picture
from vlpro.knowledge.references import References
from vlpro.knowledge.service import KnowledgeService
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.inspection.alert_store import AlertStore
from vlpro.workflows.inspection.alerts import Alert
from vlpro.workflows.inspection.inputs import Inputs
from vlpro.workflows.inspection.messages import alert_message
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.inspection.raising import InspectionAlerts
from vlpro.workflows.inspection.service import InspectionService
from vlpro.workflows.inspection.store import InspectionStore
from vlpro.workflows.inspection.template_store import TemplateStore
from vlpro.workflows.inspection.templates import GoldenTemplates
from vlpro.workflows.inspection.thermal import Printed
from vlpro.workflows.reading import PageReader

__all__ = ["inputs_of", "inspections_of"]


def inspections_of(
    settings: Settings,
    where: Storage,
    chat: ChatService,
    reader: PageReader,
    deliveries: Deliveries,
    *,
    knowledge: KnowledgeService,
    rules: Callable[[], Rules],
) -> InspectionService:
    """What inspects pictures; not started yet.

    Raises:
        ConfigError: Alerts are to go where the setting ``delivery`` names nothing.
    """
    options = settings.inspection or InspectionOptions()
    unknown = [name for name in options.alert_targets if name not in deliveries.targets]
    if unknown:
        raise ConfigError(
            f"inspection.alert_targets names {unknown[0]}, which is not among delivery.targets.",
            zh=f"inspection.alert_targets 中的 {unknown[0]} 不在 delivery.targets 中。",
            param="inspection.alert_targets",
        )

    async def printed(picture: Picture, person: Person) -> Sequence[Printed]:
        read = await reader.read([picture], owner=person.id)
        return [Printed(line.text, line.box) for page in read.pictures for line in page.lines]

    async def deliver(alert: Alert) -> None:
        said = alert_message(alert).model_dump(mode="json")
        for target in options.alert_targets:
            await deliveries.deliver("alert", alert.id, said, target, event="raised", owner=alert.owner)

    return InspectionService(
        chat,
        InspectionStore(*where),
        GoldenTemplates(chat.reader, TemplateStore(*where), chat.recorder, max_pixels=options.max_pixels),
        InspectionAlerts(
            AlertStore(*where), chat.recorder, options, deliver=deliver if options.alert_targets else None
        ),
        options,
        references=References(knowledge.finder, reader, chat.engine.count_tokens),
        keeps_pictures=lambda: rules().keep_images,
        printed=printed,
    )


def inputs_of(settings: Settings, identity: Identity | None, service: InspectionService) -> Inputs:
    """What takes pictures in beside the API; not started yet.

    Raises:
        ConfigError: The folder, the account or a file of certificates cannot be used.
    """
    return Inputs(service, identity, data_dir=settings.data_dir, max_bytes=settings.max_image_bytes)
