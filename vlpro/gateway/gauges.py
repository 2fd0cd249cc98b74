"""The service's state as Prometheus asks for it: read when it is asked for, and at no other time."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vlpro import __version__
from vlpro.audit.log import AuditLog, last_record
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.ship.position import last_arrived, position_file
from vlpro.engines.worker.client import WorkerEngine
from vlpro.errors import VlproError
from vlpro.imaging.workers import WorkerPool

if TYPE_CHECKING:
    from vlpro.config import Settings
    from vlpro.gateway.deps import Services
    from vlpro.gateway.readiness import Readiness

__all__ = ["BACKUP_STATE", "Gauges", "shipped_seq"]

log = logging.getLogger(__name__)

BACKUP_STATE = "backup-state.json"
"""In the data folder: ``{"at": Unix time of the last good backup}``, written by ``vlpro backup``."""


class Gauges(Collector):
    """Collects the state of all services.

    A part that cannot be read leaves its series out: a missing series is honest, a zero would not be.

    Args:
        services: The application's.
        readiness: Whether they can answer.
    """

    def __init__(self, services: Services, readiness: Readiness) -> None:
        self._services = services
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        """All series."""
        parts: tuple[Callable[[], Iterable[Metric]], ...] = (
            self._build,
            self._queue,
            self._engine,
            self._machine,
            self._audit,
            self._work,
            self._data,
        )
        for part in parts:
            try:
                yield from list(part())
            except (VlproError, OSError, ValueError) as error:
                log.warning("metrics: %s cannot be read (%s)", part.__name__.strip("_"), type(error).__name__)

    def _build(self) -> Iterator[Metric]:
        services = self._services
        build = GaugeMetricFamily(
            "vlpro_build_info", "Always 1; what runs.", labels=("version", "python", "profile")
        )
        build.add_metric((__version__, platform.python_version(), services.settings.profile), 1)
        yield build
        yield _gauge("vlpro_start_time_seconds", "Unix time of the start.", services.started)
        yield _gauge("vlpro_ready", "Whether GET /readyz says 200.", self._readiness.ready())
        yield _gauge(
            "vlpro_draining",
            "Whether the service is about to end and takes nothing new.",
            services.draining.active,
        )

    def _queue(self) -> Iterator[Metric]:
        queue = self._services.chat.queue
        yield _gauge("vlpro_questions_running", "Questions that are being answered.", queue.running)
        yield _gauge(
            "vlpro_questions_waiting",
            "Questions that wait, or whose pictures are being read in.",
            max(0, queue.waiting),
        )
        yield _gauge("vlpro_questions_at_once", "Questions that may be answered at once.", queue.concurrency)
        yield _gauge("vlpro_queue_size", "Questions that may wait; more get 429.", queue.size)
        yield _counter(
            "vlpro_questions_turned_away",
            "Questions for which the queue had no place (429).",
            queue.turned_away,
        )
        yield _gauge(
            "vlpro_pictures_reading_ahead",
            "Pictures that the engine reads before they are asked about.",
            self._services.conversations.pictures.reading_ahead,
        )

    def _engine(self) -> Iterator[Metric]:
        engine = self._services.chat.engine
        info = GaugeMetricFamily("vlpro_engine_info", "Always 1; which engine answers.", labels=("engine",))
        info.add_metric((engine.name,), 1)
        yield info
        yield _gauge("vlpro_engine_ready", "Whether a question would be answered at once.", engine.ready)
        loaded = engine.pid is not None and engine.loading is None if _has_worker(engine) else engine.ready
        yield _gauge("vlpro_engine_loaded", "Whether the engine is in memory.", loaded)
        yield _counter(
            "vlpro_engine_restarts",
            "Processes of the engine that were started since the one before ended by itself.",
            engine.restarts if isinstance(engine, WorkerEngine) else 0,
        )

    def _machine(self) -> Iterator[Metric]:
        device = self._services.device.read(self._services.chat.engine.pid)
        yield _gauge("vlpro_host_memory_used_bytes", "Memory of the machine in use.", device.memory_used)
        yield _gauge("vlpro_host_memory_bytes", "Memory of the machine.", device.memory_total)
        yield _gauge("vlpro_host_cpu_ratio", "Load of the processor since it was last asked for, 0 to 1.",
                     device.cpu_percent / 100)  # fmt: skip
        memory = GaugeMetricFamily(
            "vlpro_process_memory_bytes", "Resident memory of our processes.", labels=("process",)
        )
        memory.add_metric(("gateway",), device.gateway_memory)
        if device.engine_memory is not None:
            memory.add_metric(("engine",), device.engine_memory)
        yield memory
        if not device.gpus:
            return
        used = GaugeMetricFamily("vlpro_gpu_memory_used_bytes", "Memory of a card in use.", labels=("gpu",))
        total = GaugeMetricFamily("vlpro_gpu_memory_bytes", "Memory of a card.", labels=("gpu",))
        load = GaugeMetricFamily("vlpro_gpu_utilization_ratio", "Load of a card, 0 to 1.", labels=("gpu",))
        heat = GaugeMetricFamily("vlpro_gpu_temperature_celsius", "Temperature of a card.", labels=("gpu",))
        for number, gpu in enumerate(device.gpus):
            name = (str(number),)
            used.add_metric(name, gpu.memory_used)
            total.add_metric(name, gpu.memory_total)
            if gpu.utilization_percent is not None:
                load.add_metric(name, gpu.utilization_percent / 100)
            if gpu.temperature_c is not None:
                heat.add_metric(name, gpu.temperature_c)
        yield from (used, total, load, heat)

    def _audit(self) -> Iterator[Metric]:
        recorder = self._services.recorder
        if not isinstance(recorder, LogRecorder):
            return
        audit = recorder.audit
        yield _gauge("vlpro_audit_records_waiting", "Records that are not on the disk yet.", audit.waiting)
        yield _gauge("vlpro_audit_records_unsigned", "Records that no checkpoint covers yet.", audit.unsigned)
        yield _gauge(
            "vlpro_audit_checkpoint_lag_seconds",
            "Seconds since the last checkpoint, while there are records that none covers; else 0.",
            audit.checkpoint_age_s if audit.unsigned else 0,
        )
        yield _gauge(
            "vlpro_audit_failing", "Whether the last write or signature failed.", audit.failed_at is not None
        )
        last = _last_seq(audit)
        yield _gauge("vlpro_audit_records", "Number of the last record.", last)
        shipped = shipped_seq(self._services.settings)
        if shipped is not None:
            yield _gauge(
                "vlpro_audit_shipping_lag_records",
                "Records that the shipper has not confirmed yet, by its state file.",
                # Further than the record is long: that is of another one, and of this none is known to have arrived.
                last - shipped if shipped <= last else last,
            )

    def _work(self) -> Iterator[Metric]:
        services = self._services
        yield _gauge(
            "vlpro_batches_going", "Batches that this process works on.", services.batches.worker.going
        )
        yield _counter(
            "vlpro_knowledge_searches",
            "How often passages of knowledge bases were looked for.",
            services.knowledge.finder.searches,
        )
        found = services.knowledge.status()
        yield _gauge("vlpro_knowledge_passages", "Passages in the index of knowledge bases.", found.passages)
        reader = services.chat.reader
        if isinstance(reader, WorkerPool):
            workers = GaugeMetricFamily(
                "vlpro_decode_workers", "Processes that read pictures in, by state.", labels=("state",)
            )
            workers.add_metric(("busy",), reader.busy)
            workers.add_metric(("ready",), reader.ready)
            yield workers
        yield _gauge(
            "vlpro_deliveries_waiting", "Results that are still to be sent.", services.deliveries.waiting()
        )

    def _data(self) -> Iterator[Metric]:
        folder = self._services.settings.data_dir
        usage = shutil.disk_usage(folder)
        yield _gauge("vlpro_data_disk_free_bytes", "Free on the disk of the data folder.", usage.free)
        yield _gauge("vlpro_data_disk_bytes", "Size of the disk of the data folder.", usage.total)
        try:
            at = json.loads((folder / BACKUP_STATE).read_text(encoding="utf-8"))["at"]
            age = time.time() - float(at)
        except (OSError, ValueError, KeyError, TypeError):
            return  # there was none yet: then there is nothing to tell
        yield _gauge("vlpro_backup_age_seconds", "Seconds since the last good backup.", age)


def shipped_seq(settings: Settings) -> int | None:
    """Number of the last record that is known to have arrived; None: nothing is shipped, or that is unknown."""
    if settings.audit_ship is None:
        return None
    return last_arrived(position_file(settings.audit_ship, settings.data_dir))


def _last_seq(audit: AuditLog) -> int:
    with audit.database.read() as connection:
        return last_record(connection)[0]


def _has_worker(engine: object) -> bool:
    return isinstance(engine, WorkerEngine)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=float(value))
