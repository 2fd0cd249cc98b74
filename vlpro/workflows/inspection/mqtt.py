"""Pictures by MQTT 5: a camera publishes one, the result goes to a topic, and an alert to another.

A picture is acknowledged when its result has been published (QoS 1), and the broker keeps the session: what comes
while the service restarts, or was not answered yet, is delivered then. Topics below the prefix:

    pictures/STATION/PRODUCT    the picture's file, by a camera
    results/STATION/PRODUCT     what was found, as the API tells it
    errors/STATION/PRODUCT      why a picture was not inspected
    alerts/STATION/PRODUCT      each new alert, also of what came over the API
    status                      ``online`` or ``offline``, retained; ``offline`` is the last will, too
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from vlpro.audit.alerts.webhook import trusting
from vlpro.chat.service import Upload
from vlpro.errors import BadRequestError, ForbiddenError, ImageError, VlproError
from vlpro.sealing import outside
from vlpro.workflows.inspection.messages import alert_message, error_message, inspection_message
from vlpro.workflows.inspection.method import Asked
from vlpro.workflows.inspection.operator import Operator
from vlpro.workflows.inspection.options import NAME, MqttOptions
from vlpro.workflows.inspection.service import InspectionService

__all__ = ["MqttInput"]

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_KEEPALIVE_S = 20
_SESSION_S = 7 * 86_400  # for which the broker keeps what was not delivered
_UNANSWERED = 8  # pictures that the broker delivers before the first of them is acknowledged
_MOST_PAUSE_S = 30.0
_TRIES = 5  # of a picture that cannot be inspected through no fault of its own
_LOOK_S = 5.0  # another process may have raised an alert
_SLACK = 65_536
_IS_JSON = {"ContentType": "application/json"}


class MqttInput:
    """Inspects what comes from a broker.

    Args:
        service: Inspects.
        options: Which broker.
        operator: In whose name.
        max_bytes: Of a picture. A larger one is answered with an error; one of more than twice as much is withheld by
            the broker (Maximum Packet Size, MQTT 5 section 3.1.2.11.4).

    Raises:
        ConfigError: The file of certificates cannot be read.
    """

    def __init__(
        self, service: InspectionService, options: MqttOptions, operator: Operator, *, max_bytes: int
    ) -> None:
        self._service = service
        self._options = options
        self._operator = operator
        self._max_bytes = max_bytes
        self._tls = trusting(options.ca, "inspection.mqtt") if options.tls else None
        self._prefix = options.prefix.rstrip("/")

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause = 1.0
        while True:
            try:
                async with self._client() as client:
                    pause = 1.0
                    log.info("connected to the broker %s", self._options.url)
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError, VlproError) as error:
                log.warning(
                    "the broker %s is lost, next try in %g s: %s",
                    self._options.url,
                    pause,
                    error.message if isinstance(error, VlproError) else error,
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_S)

    def _client(self) -> _Client:
        said = _properties(
            PacketTypes.CONNECT,
            SessionExpiryInterval=_SESSION_S,
            ReceiveMaximum=_UNANSWERED,
            MaximumPacketSize=2 * self._max_bytes + _SLACK,
        )
        password = self._options.password.get_secret_value()
        host, port = self._options.address
        return _Client(
            host,
            port,
            username=self._options.user or None,
            password=password or None,
            identifier=self._options.client_id,
            queue_type=_Incoming,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=aiomqtt.Will(f"{self._prefix}/status", "offline", qos=1, retain=True),
            timeout=_CONNECT_S,
            keepalive=_KEEPALIVE_S,
            clean_start=False,
            properties=said,
            tls_context=self._tls,
        )

    async def _serve(self, client: _Client) -> None:
        # Who subscribes is not given a retained picture again at each start (section 3.8.3.1).
        wanted = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        await client.subscribe(f"{self._prefix}/pictures/+/+", options=wanted)
        await client.publish(f"{self._prefix}/status", "online", qos=1, retain=True)
        work = [asyncio.create_task(self._receive(client)), asyncio.create_task(self._tell(client))]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _receive(self, client: _Client) -> None:
        async for message in client.messages:
            await self._answer(client, _Picture.of(message, self._prefix))
            client.acknowledge(message)

    async def _answer(self, client: _Client, picture: _Picture) -> None:
        """Inspect a picture, and publish what was found or why not."""
        for tries in range(1, _TRIES + 1):
            try:
                said = await self._inspected(picture)
                where = "results"
                break
            except (BadRequestError, ForbiddenError) as error:
                said, where = _json(error_message(error, **picture.named)), "errors"
                log.warning("a picture of the broker was not inspected: %s", error.code)
                break
            except VlproError as error:
                said, where = _json(error_message(error, **picture.named)), "errors"
                log.warning("a picture of the broker waits (%d): %s", tries, error.message)
                if tries < _TRIES:
                    await asyncio.sleep(2 ** (tries - 1))
        properties = _properties(PacketTypes.PUBLISH, **_IS_JSON, **picture.correlation)
        topic = f"{self._prefix}/{where}/{picture.station}/{picture.product}"
        await client.publish(topic, said, qos=1, properties=properties)

    async def _inspected(self, picture: _Picture) -> bytes:
        person = await self._operator.act()
        for name, value in picture.named.items():
            if not re.fullmatch(NAME, value):
                raise BadRequestError(
                    f"The topic's {name} is no name: at most 64 characters, without / \\ # + and no $ or . before "
                    "the others.",
                    zh=f"主题中的 {name} 不是有效名称：最多 64 个字符，不能含 / \\ # +，不能以 $ 或 . 开头。",
                    param=name,
                )
        if len(picture.data) > self._max_bytes:
            raise ImageError(
                f"The picture is larger than {self._max_bytes / 1e6:g} MB.",
                zh=f"图片超过 {self._max_bytes / 1e6:g} MB。",
                code="image_too_large",
            )
        asked = Asked(
            image=Upload(picture.data),
            product=picture.product,
            station=picture.station,
            method=self._options.method,
            source="mqtt",
        )
        return inspection_message(await self._service.inspect(person, asked)).model_dump_json().encode()

    async def _tell(self, client: _Client) -> None:
        """Publish alerts, those first that were raised while there was no connection."""
        store, raised = self._service.alerts.store, self._service.alerts.raised
        properties = _properties(PacketTypes.PUBLISH, **_IS_JSON)
        while True:
            raised.clear()
            for alert in await asyncio.to_thread(store.to_publish, 100):
                topic = f"{self._prefix}/alerts/{alert.station}/{alert.product}"
                said = alert_message(alert).model_dump_json()
                await client.publish(topic, said, qos=1, properties=properties)
                await asyncio.to_thread(store.published, alert.id)
            with suppress(TimeoutError):
                await asyncio.wait_for(raised.wait(), _LOOK_S)


@dataclass(frozen=True, slots=True)
class _Picture:
    """What came: levels of its topic are not checked yet."""

    station: str
    product: str
    data: bytes
    correlation: dict[str, bytes]

    @classmethod
    def of(cls, message: aiomqtt.Message, prefix: str) -> _Picture:
        station, _, product = message.topic.value.removeprefix(f"{prefix}/pictures/").partition("/")
        known = getattr(message.properties, "CorrelationData", None)
        return cls(
            station, product, bytes(message.payload), {} if known is None else {"CorrelationData": known}
        )

    @property
    def named(self) -> dict[str, str]:
        return {"station": self.station, "product": self.product}


class _Incoming(asyncio.Queue[aiomqtt.Message]):
    """What has come and is not handled yet. Of QoS 0, which promises nothing, no more than a few are held."""

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Take a message. Raises: QueueFull, which drops it."""
        if item.qos == 0 and self.qsize() >= _UNANSWERED:
            raise asyncio.QueueFull
        super().put_nowait(item)


class _Client(aiomqtt.Client):
    """Connects by :mod:`vlpro.sealing.outside`, and acknowledges a message when it is handled."""

    def __init__(self, host: str, port: int, *, tls_context: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(host, port, tls_context=tls_context, **options)
        where = outside.destination(host, port)
        # paho has no setting for either; TLS is spoken over whatever socket this gives.
        self._client._create_socket_connection = lambda: outside.connection(where, _CONNECT_S)  # type: ignore[method-assign] # noqa: SLF001
        self._client.manual_ack_set(True)  # noqa: FBT003 - the signature is paho's
        # Who ends in order is offline, too (MQTT 5 section 3.14.2.1).
        with_will = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client.disconnect = partial(self._client.disconnect, with_will)  # type: ignore[method-assign]

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that a message is done with."""
        self._client.ack(message.mid, message.qos)


def _properties(kind: int, **values: object) -> Properties:
    made = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
