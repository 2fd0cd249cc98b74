"""Syslog (RFC 5424) over TLS (RFC 5425).

Syslog has no acknowledgement. The nearest thing to one is TLS's own end: after each batch we say that nothing more
comes, and the receiver, which reads in order, answers with its own end only when it has read everything before.
Until then a batch has not arrived, and is sent again. So each record is read by the receiver at least once; what it
does with it afterwards, it tells nobody.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence

from vlpro.audit.ship.destination import Destination, Outcome
from vlpro.audit.ship.documents import Document, Kind
from vlpro.audit.ship.errors import RefusedError, UnavailableError
from vlpro.audit.ship.options import SyslogOptions
from vlpro.errors import ConfigError

__all__ = ["Syslog", "message"]

_CONNECT_S = 10.0
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
        """Nothing can be asked."""

    def put(self, documents: Sequence[Document]) -> Outcome:
        """One connection: all messages, then the end of both sides."""
        frames = bytearray()
        for document in documents:
            one = message(
                document, host=self._host, facility=self._options.facility, sd_id=self._options.sd_id
            )
            frames += b"%d %b" % (len(one), one)  # octet counting (RFC 5425 section 4.3.1)
        try:
            with (
                socket.create_connection(
                    (self._options.host, self._options.port), timeout=min(_CONNECT_S, self._timeout_s)
                ) as plain,
                self._tls.wrap_socket(plain, server_hostname=self._options.host) as secure,
            ):
                secure.settimeout(self._timeout_s)
                secure.sendall(frames)
                secure.unwrap().close()  # our end, and the receiver's
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
        return Outcome(arrived=list(documents))

    def present(self, kind: Kind, log: str, first: int, last: int) -> dict[int, list[str]]:
        """It tells nothing."""
        raise NotImplementedError

    def last(self, kind: Kind, log: str) -> int:
        """It tells nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """No connection is kept."""


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
