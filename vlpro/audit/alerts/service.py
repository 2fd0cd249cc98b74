"""The alerts of a service: what follows the record, and what carries."""

from __future__ import annotations

from vlpro.audit.alerts.channels import channels_of
from vlpro.audit.alerts.delivery import Delivery
from vlpro.audit.alerts.follower import Follower
from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.log import AuditLog

__all__ = ["Alerts"]


class Alerts:
    """Starts behind the log, and ends before it.

    Args:
        audit: The log.
        options: What to look for, and whom to tell.

    Raises:
        ConfigError: A file that the options name cannot be read.
    """

    def __init__(self, audit: AuditLog, options: AlertOptions) -> None:
        channels = channels_of(options, audit.signer.log_id)
        self._delivery = Delivery(channels, retry_s=options.retry_minutes * 60)
        self._follower = Follower(audit, options, self._delivery.hand_on)

    def start(self) -> None:
        """Begin."""
        self._delivery.start()
        self._follower.start()

    def stop(self) -> None:
        """End; blocks for a few seconds where a channel is down."""
        self._follower.stop()
        self._delivery.stop()
