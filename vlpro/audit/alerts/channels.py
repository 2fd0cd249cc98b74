"""Where alerts go: a webhook, a syslog receiver, a mail server."""

from __future__ import annotations

import json
import re
import smtplib
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from vlpro.audit.alerts.alert import Alert
from vlpro.audit.alerts.options import AlertOptions, MailOptions, SyslogTarget, WebhookOptions
from vlpro.audit.alerts.webhook import TIMEOUT_S, Undelivered, post, signature, trusting
from vlpro.audit.events import Event
from vlpro.audit.ship.documents import Document, Kind
from vlpro.audit.ship.syslog import message
from vlpro.sealing import outside

__all__ = ["Channel", "Mail", "Syslog", "Undelivered", "Webhook", "channels_of", "signature"]

_PORTS = {"tls": 6514, "tcp": 601, "udp": 514}  # RFC 5425, RFC 6587, RFC 5426
_MOST_DATAGRAM = 8_192  # RFC 5424 section 6.1: 2048 and more should be taken; ours are about 1500


class Channel(ABC):
    """Takes alerts."""

    name: str
    """For the log, without a secret."""

    @abstractmethod
    def send(self, alert: Alert, record: int) -> None:
        """Deliver an alert; returns when the other side has it, as far as it tells.

        Args:
            alert: What is told.
            record: Number of its record; 0: it could not be recorded.

        Raises:
            Undelivered: It does not answer, or refuses.
        """


def channels_of(options: AlertOptions, log_id: str) -> list[Channel]:
    """The channels that the options name.

    Args:
        options: The options.
        log_id: Of the audit's log.

    Raises:
        ConfigError: A file of certificates cannot be read.
    """
    found: list[Channel] = []
    if options.webhook is not None:
        found.append(Webhook(options.webhook, options.name))
    if options.syslog is not None:
        found.append(Syslog(options.syslog, options.name, log_id))
    if options.mail is not None:
        found.append(Mail(options.mail, options.name))
    return found


class Webhook(Channel):
    """Posts JSON, with ``X-Vlpro-Timestamp`` and ``X-Vlpro-Signature`` (:mod:`vlpro.audit.alerts.webhook`).

    Args:
        options: Where to, and the secret.
        name: Of this installation.
        clock: Unix time.
    """

    def __init__(self, options: WebhookOptions, name: str, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self._from = name
        self._clock = clock
        self._tls = trusting(options.ca, "alerts.webhook")
        self.name = f"webhook {urlsplit(options.url).netloc}"

    def send(self, alert: Alert, record: int) -> None:
        """One request, without redirects or proxies; any answer from 200 to 299 is a receipt."""
        body = json.dumps(alert.content(name=self._from, record=record), ensure_ascii=False).encode()
        post(self._options, body, self._tls, now=self._clock())


class Syslog(Channel):
    """Sends RFC 5424: in octet-counted frames (RFC 6587, RFC 5425), or one a datagram.

    Args:
        options: Where to.
        name: Of this installation.
        log_id: Of the audit's log.
    """

    def __init__(self, options: SyslogTarget, name: str, log_id: str) -> None:
        self._options = options
        self._from = name
        self._log_id = log_id
        parts = urlsplit(options.url)
        self._scheme = parts.scheme
        self._path = unquote(parts.path)
        self._address = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
        self._tls = trusting(options.ca, "alerts.syslog") if parts.scheme == "tls" else None
        self._host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
        self.name = f"syslog {options.url}"

    def send(self, alert: Alert, record: int) -> None:
        """Over TCP and TLS the receiver's own end of the connection is the receipt; a datagram has none."""
        line = self._line(alert, record)
        try:
            if self._scheme == "unix":
                self._to_socket(line)
            elif self._scheme == "udp":
                family, kind, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
                with socket.socket(family, kind) as datagram:
                    datagram.connect(address)
                    datagram.send(line[:_MOST_DATAGRAM])
            else:
                self._by_stream(b"%d %b" % (len(line), line))  # RFC 6587 section 3.4.1
        except OSError as error:  # ssl.SSLError is one
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def _by_stream(self, frame: bytes) -> None:
        with outside.connection(outside.destination(*self._address), TIMEOUT_S) as plain:
            if self._tls is None:
                plain.sendall(frame)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(1024):
                    pass
                return
            with self._tls.wrap_socket(plain, server_hostname=self._address[0]) as secure:
                secure.sendall(frame)
                secure.unwrap()

    def _to_socket(self, line: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
            local.settimeout(TIMEOUT_S)
            local.connect(self._path)
            local.send(line[:_MOST_DATAGRAM])

    def _line(self, alert: Alert, record: int) -> bytes:
        said = alert.content(name=self._from, record=record)
        content = {
            "@timestamp": alert.when,
            "event": {"kind": "alert", "action": str(Event.ALERT_RAISED)},
            "message": alert.en,
            "vlpro": said,
        }
        document = Document(Kind.RECORD, record, self._log_id, "", content)
        return message(document, host=self._host, facility=self._options.facility, sd_id=self._options.sd_id)


class Mail(Channel):
    """Sends e-mail.

    Args:
        options: Over which server, from whom and to whom.
        name: Of this installation.
    """

    def __init__(self, options: MailOptions, name: str) -> None:
        self._options = options
        self._from = name
        self._tls = trusting(options.ca, "alerts.mail")
        self._host = re.sub(r"[^A-Za-z0-9.-]", "", socket.gethostname())[:255] or "localhost"
        self.name = f"mail {options.host}:{options.port}"

    def send(self, alert: Alert, record: int) -> None:
        """One connection; the server's receipt is taken for each receiver's."""
        options = self._options
        try:
            with self._connected() as server:
                if options.user:
                    server.login(options.user, options.password.get_secret_value())
                server.send_message(self._mail(alert, record))
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
            code = getattr(error, "smtp_code", "")  # without the server's words, which may repeat a password
            raise Undelivered(f"{type(error).__name__} {code}".rstrip()) from error
        except smtplib.SMTPException as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error
        except OSError as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        options = self._options
        if options.security == "tls":
            return _SecureSmtp(
                options.host,
                options.port,
                local_hostname=self._host,
                timeout=TIMEOUT_S,
                context=self._tls,
            )
        server = _Smtp(options.host, options.port, local_hostname=self._host, timeout=TIMEOUT_S)
        if options.security == "starttls":
            try:
                server.starttls(context=self._tls)  # raises where the server does not offer it
            except BaseException:
                server.close()
                raise
        return server

    def _mail(self, alert: Alert, record: int) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._options.sender
        mail["To"] = ", ".join(self._options.to)
        subject = f"[{self._from}] {alert.severity}: {alert.rule}"
        mail["Subject"] = re.sub(r"[\x00-\x1f\x7f]", " ", subject)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{alert.id}@{self._host}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers that they are on holiday
        said = alert.content(name=self._from, record=record)
        text = f"{alert.zh}\n\n{alert.en}\n\n{json.dumps(said, ensure_ascii=False, indent=2)}\n"
        mail.set_content(text, cte="base64")
        return mail


class _Smtp(smtplib.SMTP):
    """Connects by :mod:`vlpro.sealing.outside`."""

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return outside.connection(outside.destination(host, port), timeout)


class _SecureSmtp(smtplib.SMTP_SSL):
    """Likewise, with TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        plain = outside.connection(outside.destination(host, port), timeout)
        return self.context.wrap_socket(plain, server_hostname=host)
