"""Each way out on its own, over TLS as it is meant to be; nothing goes to whoever is not who it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.server import eventually
from tests.receivers import SECRET, hook, mail_server, server_tls, syslog_server
from tests.slapd import make_ca
from vlpro.audit.alerts.alert import Alert, Rule
from vlpro.audit.alerts.channels import Channel, Undelivered, channels_of
from vlpro.audit.alerts.options import AlertOptions

ALERT = Alert(Rule.EGRESS, 'a "host"]\\', 1, 0.0, 7, 7, 1_800_000_000.25, "python")
LOG = "log_0123"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_ca(folder)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another authority."""
    folder = tmp_path_factory.mktemp("other")
    make_ca(folder)
    return folder


def channel(**parts: object) -> Channel:
    (one,) = channels_of(AlertOptions.model_validate({"name": "suzhou"} | parts), LOG)
    return one


def mail(port: int, tls: Path, **more: object) -> Channel:
    said = {
        "host": "localhost",
        "port": port,
        "ca": str(tls / "ca.pem"),
        "sender": "v@a.cn",
        "to": ["s@a.cn"],
    }
    return channel(mail=said | more)


def test_a_webhook_over_https(tls: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody is there
    with hook(tls=server_tls(tls)) as server:
        url = f"https://localhost:{server.port}/"
        channel(webhook={"url": url, "secret": SECRET, "ca": str(tls / "ca.pem")}).send(ALERT, 8)
        assert server.got[0]["id"] == ALERT.id
        assert (server.got[0]["record"], server.got[0]["subject"]) == (8, ALERT.subject)
        with pytest.raises(Undelivered, match="CERTIFICATE_VERIFY_FAILED"):
            channel(webhook={"url": url, "secret": SECRET, "ca": str(other / "ca.pem")}).send(ALERT, 8)
        with pytest.raises(Undelivered):
            channel(webhook={"url": url, "secret": SECRET}).send(ALERT, 8)
        channel(webhook={"url": url, "secret": "another secret!!", "ca": str(tls / "ca.pem")}).send(ALERT, 8)
        assert (len(server.got), server.wrong) == (1, 1)


def test_a_redirect_is_no_receipt_and_is_not_followed() -> None:
    with hook() as server, hook() as elsewhere:
        server.status = 307
        with pytest.raises(Undelivered, match="307"):
            channel(webhook={"url": server.url, "secret": SECRET}).send(ALERT, 8)
        assert elsewhere.got == []


@pytest.mark.parametrize("scheme", ["tls", "tcp", "udp", "unix"])
def test_syslog(scheme: str, tls: Path, tmp_path: Path) -> None:
    folder = tmp_path if scheme == "unix" else tls
    with syslog_server(scheme, folder) as server:
        channel(syslog={"url": server.url, "ca": str(tls / "ca.pem")}).send(ALERT, 8)
        eventually(lambda: bool(server.got))
        (line,) = server.got
        head, _, text = line.partition("\ufeff")
        assert head.startswith("<108>1 2027-01-15T08:00:00.250Z ")
        assert f'id="{LOG}-8"' in head
        said = json.loads(text)
        assert said["vlpro"]["id"] == ALERT.id
        assert said["vlpro"]["from"] == "suzhou"
        assert said["message"] == ALERT.en


def test_syslog_to_somebody_else(tls: Path, other: Path) -> None:
    with syslog_server("tls", tls) as server:
        with pytest.raises(Undelivered, match="CERTIFICATE_VERIFY_FAILED"):
            channel(syslog={"url": server.url, "ca": str(other / "ca.pem")}).send(ALERT, 8)
        assert server.got == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail(security: str, tls: Path, other: Path) -> None:
    with mail_server(server_tls(tls), starttls=security == "starttls") as server:
        mail(server.port, tls, security=security, user="u", password="p w").send(ALERT, 8)
        ((sender, to, sent),) = server.got
        assert (sender, to) == ("v@a.cn", ["s@a.cn"])
        assert sent["subject"] == "[suzhou] high: egress"
        assert sent["auto-submitted"] == "auto-generated"
        assert ALERT.zh in sent.get_content()
        assert server.logins == ["\0u\0p w"]
        assert set(server.clear) <= {"EHLO", "STARTTLS"}
        with pytest.raises(Undelivered):
            mail(server.port, other, security=security, user="u", password="p").send(ALERT, 8)
        assert (len(server.got), len(server.logins)) == (1, 1)


def test_no_mail_goes_in_the_clear(tls: Path) -> None:
    """A server, or somebody before it, does not offer TLS."""
    with mail_server(None) as server:
        with pytest.raises(Undelivered, match="STARTTLS"):
            mail(server.port, tls, user="u", password="p").send(ALERT, 8)
        assert server.got == []
        assert server.logins == []
        mail(server.port, tls, security="none").send(ALERT, 8)  # to this machine, on request
        assert len(server.got) == 1


@pytest.mark.parametrize(
    "made",
    [
        lambda tmp: channel(webhook={"url": "http://127.0.0.1:9/", "secret": SECRET}),
        lambda tmp: channel(syslog={"url": "tcp://127.0.0.1:9"}),
        lambda tmp: channel(syslog={"url": f"unix://{tmp}/none"}),
        lambda tmp: channel(
            mail={"host": "localhost", "port": 9, "security": "none", "sender": "v@a.cn", "to": ["s@a.cn"]}
        ),
    ],
)
def test_nobody_there(made: Callable[[Path], Channel], tmp_path: Path) -> None:
    with pytest.raises(Undelivered):
        made(tmp_path).send(ALERT, 8)
