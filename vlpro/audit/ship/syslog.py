"""Syslog (RFC 5424) over TLS (RFC 5425).

Syslog has no acknowledgement. The nearest thing to one is the end of a connection: after each batch we say that
nothing more comes, and a receiver, which reads in order, ends its own side only when it has read everything before.
Until then a batch has not arrived, and is sent again. So each record is read by the receiver at least once; what it
does with it afterwards, it tells nobody.

A receiver that ends while we still send is told apart from one that has read it all: its system answers what comes
after with a reset, and never acknowledges it.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence

from vlpro.audit.ship.destination import Destination, Outcome
from vlpro.audit.ship.documents import Document, Kind
from vlpro.audit.ship.errors import RefusedError, UnavailableError
from vlpro.audit.ship.options import SyslogOptions
from vlpro.errors import ConfigError

__all__ = ["Syslog", "message"]

_CONNECT_S = 10.0
_ACKNOWLEDGED_S = 5.0
_INFO, _NOTICE, _WARNING = 6, 5, 4  # severities (RFC 5424 section 6.2.1)
_BOM = b"\xef\xbb\xbf"  # says that the text is UTF-8 (section 6.4)


class Syslog(Destination):
    """A receiver.

    Args:
        options: Where it is.
        timeout_s: Seconds that it may take for one batch.

    Raises:
        ConfigError: A file that is named cannot be used.
    """

    can_be_asked = False

    def __init__(self, options: SyslogOptions, timeout_s: float) -> None:
        self._options = options
        self._timeout_s = timeout_s
        self.name = f"syslog://{options.host}:{options.port}"
        self._where = f"{options.host}:{options.port}"
        self._host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
        try:
            self._tls = ssl.create_default_context(cafile=options.ca or None)
            if options.certificate:
                self._tls.load_cert_chain(options.certificate, options.key or None, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"The certificates of audit_ship.syslog cannot be used: {error}.",
                zh=f"audit_ship.syslog 的证书无法使用：{error}。",
                param="audit_ship.syslog",
            ) from error
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    def prepare(self) -> None:
        """Connect once without a message, to see that the receiver is trusted, and how it ends a connection."""
        self._transmit(b"")

    def put(self, documents: Sequence[Document]) -> Outcome:
        """One connection: all messages, then the end of both sides."""
        frames = bytearray()
        for document in documents:
            one = message(
                document, host=self._host, facility=self._options.facility, sd_id=self._options.sd_id
            )
            frames += b"%d %b" % (len(one), one)  # octet counting (RFC 5425 section 4.3.1)
        self._transmit(bytes(frames))
        return Outcome(arrived=list(documents))

    def _transmit(self, frames: bytes) -> None:
        options = self._options
        try:
            with (
                socket.create_connection(
                    (options.host, options.port), timeout=min(_CONNECT_S, self._timeout_s)
                ) as plain,
                self._tls.wrap_socket(plain, server_hostname=options.host) as secure,
            ):
                secure.settimeout(self._timeout_s)
                secure.sendall(frames)
                self._end(secure)
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(
                f"The certificate of {self._where} is not trusted ({error.verify_message}): set audit_ship.syslog.ca "
                "to the authority that signed it.",
                zh=f"{self._where} 的证书不可信（{error.verify_message}）："
                "请将 audit_ship.syslog.ca 设为签发机构的证书。",
            ) from error
        except OSError as error:  # ssl.SSLError is one
            raise UnavailableError(
                f"{self._where} did not take it ({error}).",
                zh=f"{self._where} 未接收（{error}）。",
                doubtful=True,
            ) from error

    def _end(self, secure: ssl.SSLSocket) -> None:
        """Say that nothing more comes, and wait until the receiver has read that."""
        number = secure.fileno()
        try:
            plain = secure.unwrap()
        except ssl.SSLEOFError:
            if self._options.end == "tls":
                raise RefusedError(
                    f"{self._where} ends connections without TLS's own end, as rsyslog with gtls does: nobody can "
                    "tell whether it was the receiver who ended it. Use rsyslog's ossl, or set "
                    "audit_ship.syslog.end to tcp.",
                    zh=f"{self._where} 断开时不发送 TLS 结束通知（rsyslog 的 gtls 即如此），无法确认是接收端所为。"
                    "请改用 rsyslog 的 ossl，或将 audit_ship.syslog.end 设为 tcp。",
                    doubtful=True,
                ) from None
            _wait_for_acknowledgement(number, secure)
        else:
            with plain:
                while plain.recv(4096):
                    pass
                _wait_for_acknowledgement(number, plain)

    def present(self, kind: Kind, log: str, first: int, last: int) -> dict[int, list[str]]:
        """It tells nothing."""
        raise NotImplementedError

    def last(self, kind: Kind, log: str) -> int:
        """It tells nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """No connection is kept."""


def _wait_for_acknowledgement(number: int, connection: socket.socket) -> None:
    """Wait until the receiver's system has everything that was sent, including our end.

    Raises:
        OSError: It has not, and answered with a reset, or not at all.
    """
    end = time.monotonic() + _ACKNOWLEDGED_S
    while True:
        if broken := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(broken, os.strerror(broken))
        waiting = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        if waiting == 0:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{waiting} bytes were not acknowledged")
        time.sleep(0.002)


def message(document: Document, *, host: str, facility: int, sd_id: str) -> bytes:
    """A document as a message of RFC 5424: number and hashes as structured data, the document itself as the text.

    Args:
        document: What is sent.
        host: This machine's name.
        facility: 0 to 23.
        sd_id: Name of the structured data.
    """
    event, own = document.content["event"], document.content["vlpro"]
    outcome = own.get("outcome", "")
    severity = {"refused": _NOTICE, "failed": _WARNING}.get(outcome, _INFO)
    if event["kind"] == "alert" or "problem" in own:
        severity = _WARNING
    named = {
        "id": document.id,
        "kind": str(document.kind),
        "number": str(document.number),
        "log": document.log,
        "hash": document.hash,
        "prev": own.get("prev", ""),
        "outcome": outcome,
        "user": document.content.get("user", {}).get("name", ""),
    }
    data = "".join(f' {name}="{_escaped(value)}"' for name, value in named.items() if value)
    what = re.sub(r"[^!-~]", "", event.get("action", ""))[:32] or "-"
    head = f"<{facility * 8 + severity}>1 {document.content['@timestamp']} {host} vlpro - {what} [{sd_id}{data}] "
    return head.encode() + _BOM + document.body


def _escaped(value: str) -> str:
    """A value of structured data (section 6.3.3)."""
    return re.sub(r'(["\\\]])', r"\\\1", value)


def _no_password() -> str:
    raise OSError("the key is encrypted")
