"""Alerts from end to end: what happens over HTTP, or to the file, is told within seconds and is on the record."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.browser import Browser
from tests.functional.company import Company, company, settings_of
from tests.functional.server import Json, eventually, picture_file
from tests.functional.test_audit import last, log_of, told
from tests.people import PASSWORD
from tests.ports import free_port
from tests.receivers import SECRET, HookServer, MailServer, hook, mail_server, server_tls
from tests.rsyslog import needs, rsyslog
from tests.slapd import make_ca
from tests.support import altered
from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.events import Event
from vlpro.db import sqlite_url
from vlpro.errors import ConfigError
from vlpro.gateway.app import parts
from vlpro.identity.permissions import Role


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_ca(folder)
    return folder


@pytest.fixture(scope="module")
def webhook() -> Iterator[HookServer]:
    with hook() as listening:
        yield listening


@pytest.fixture(scope="module")
def mails(tls: Path) -> Iterator[MailServer]:
    with mail_server(server_tls(tls)) as listening:
        yield listening


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Debian's rsyslog, and the file that it writes."""
    needs("imtcp")
    folder, port = tmp_path_factory.mktemp("rsyslog"), free_port()
    out = folder / "out"
    config = (
        f'global(workDirectory="{folder}")\nmodule(load="imtcp")\ninput(type="imtcp" port="{port}" '
        f'address="127.0.0.1")\ntemplate(name="raw" type="string" string="%rawmsg%\\n")\n'
        f'action(type="omfile" file="{out}" template="raw")\n'
    )
    with rsyslog(folder, config, port):
        yield port, out


@pytest.fixture(scope="module")
def firm(
    tmp_path_factory: pytest.TempPathFactory,
    tls: Path,
    webhook: HookServer,
    mails: MailServer,
    lines: tuple[int, Path],
) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    options = AlertOptions.model_validate(
        {
            "name": "测试 site",
            "poll_s": 0.1,
            "webhook": {"url": webhook.url, "secret": SECRET},
            "syslog": {"url": f"tcp://127.0.0.1:{lines[0]}"},
            "mail": {
                "host": "localhost",
                "port": mails.port,
                "ca": str(tls / "ca.pem"),
                "user": "vlpro",
                "password": "mail-secret",
                "sender": "vlpro@example.cn",
                "to": ["soc@example.cn", "li@example.cn"],
            },
        }
    )
    with company(folder, sqlite_url(folder), alerts=options) as running:
        yield running


def alerts_of(webhook: HookServer, rule: str) -> list[Json]:
    return [alert for alert in webhook.got if alert["rule"] == rule]


def test_brute_force_is_told_by_every_channel(
    firm: Company, webhook: HookServer, mails: MailServer, lines: tuple[int, Path]
) -> None:
    before = last(firm.server)
    with firm.server.http() as http:
        browser = Browser(http)
        for _ in range(5):
            assert browser.post("/login", login="liwei", password=PASSWORD + "!").status_code in (
                401,
                403,
                429,
            )
    eventually(lambda: bool(alerts_of(webhook, "login_guessed")), timeout_s=20)
    (alert,) = alerts_of(webhook, "login_guessed")
    assert (alert["subject"], alert["count"], alert["from"]) == ("liwei", 5, "测试 site")
    assert alert["more"] == "127.0.0.1"
    assert "liwei" in alert["en"]
    assert "liwei" in alert["zh"]
    assert webhook.wrong == 0
    (raised,) = told(firm.server, before, Event.ALERT_RAISED)
    assert raised["seq"] == alert["record"]
    assert raised["detail"]["id"] == raised["object"] == alert["id"]
    refused = [r["seq"] for r in told(firm.server, before, Event.SIGN_IN)]
    assert raised["detail"]["records"] == [refused[0], refused[4]]

    eventually(lambda: bool(mails.got))
    sender, receivers, mail = mails.got[0]
    assert (sender, receivers) == ("vlpro@example.cn", ["soc@example.cn", "li@example.cn"])
    assert mail["subject"] == "[测试 site] medium: login_guessed"
    assert alert["zh"] in mail.get_content()
    assert alert["en"] in mail.get_content()
    assert mails.logins[0] == "\0vlpro\0mail-secret"
    assert mails.clear[:2] == ["EHLO", "STARTTLS"]
    assert set(mails.clear) == {"EHLO", "STARTTLS"}

    eventually(lambda: lines[1].exists() and "login_guessed" in lines[1].read_text())
    line = lines[1].read_text().splitlines()[0]
    assert re.match(r"<108>1 20\S+Z \S+ vlpro - alert:rule:raised \[vlpro@32473 ", line)
    assert alert["id"] in line


def test_who_tries_many_logins_is_noticed_though_each_is_tried_once(
    firm: Company, webhook: HookServer
) -> None:
    with firm.server.http() as http:
        browser = Browser(http)
        for number in range(5):
            browser.post("/login", login=f"guess{number}", password=PASSWORD)
    eventually(lambda: bool(alerts_of(webhook, "address_tries_logins")))
    (alert,) = alerts_of(webhook, "address_tries_logins")
    assert alert["subject"] == "127.0.0.1"
    assert "guess" not in str(alert)  # it may be a password in the wrong field: only its hash is known


def bare(reply: Any) -> tuple[int, bytes, dict[str, str]]:
    """What an answer tells: status, body, and headers but those that differ with each request."""
    headers = {k: v for k, v in reply.headers.items() if k not in ("date", "x-request-id")}
    return reply.status_code, reply.content, headers


def test_tries_at_what_is_somebody_elses_look_like_unknown_ids_and_are_told(
    firm: Company, webhook: HookServer
) -> None:
    with firm.client(Role.USER) as li, firm.client(firm.other) as wang:
        talk = li.post("/v1/conversations", json={}).json()["id"]
        image = li.post("/v1/images", content=picture_file(), headers={"content-type": "image/png"}).json()[
            "id"
        ]
        own = wang.post("/v1/conversations", json={}).json()["id"]
        key = firm.key_id(firm.key())
        session = li.get("/v1/account/sessions").json()["data"][0]["id"]
        ask: Json = {"text": "hi"}
        tries: list[tuple[str, str, Json | None, str]] = [
            ("GET", "/v1/conversations/{}", None, talk),
            ("DELETE", "/v1/conversations/{}", None, talk),
            ("POST", "/v1/conversations/{}/messages", ask, talk),
            ("GET", "/v1/images/{}", None, image),
            ("GET", "/v1/images/{}/content", None, image),
            ("DELETE", "/v1/images/{}", None, image),
            ("POST", f"/v1/conversations/{own}/messages", ask | {"images": ["{}"]}, image),
            ("DELETE", "/v1/account/keys/{}", None, key),
            ("DELETE", "/v1/account/sessions/{}", None, session),
        ]
        before = last(firm.server)
        for method, path, body, theirs in tries:
            nobodys = altered(theirs)
            answers = []
            for name in (nobodys, theirs):
                said = {k: [name] if k == "images" else v for k, v in body.items()} if body else None
                answers.append(bare(wang.request(method, path.format(name), json=said)))
            assert answers[0] == answers[1], path
            assert answers[0][0] == 404
        assert li.get(f"/v1/conversations/{talk}").status_code == 200
    eventually(lambda: len(told(firm.server, before, Event.REQUEST_REFUSED)) == len(tries))
    refused = told(firm.server, before, Event.REQUEST_REFUSED)
    assert {r["detail"]["why"] for r in refused} == {"somebody_elses"}
    assert {(r["login"], r["outcome"]) for r in refused} == {("wanglei", "refused")}
    assert [r["detail"]["path"] for r in refused] == [path.format(name) for _, path, _, name in tries]
    eventually(lambda: bool(alerts_of(webhook, "somebody_elses")))
    (alert,) = alerts_of(webhook, "somebody_elses")
    assert (alert["subject"], alert["count"]) == ("wanglei", 5)


def test_many_refusals_are_told_while_they_go_on(firm: Company, webhook: HookServer) -> None:
    with firm.server.http(headers={"authorization": "Bearer vlp_unknown"}) as program:
        for _ in range(101):
            assert program.get("/v1/models").status_code == 401
    eventually(lambda: bool(alerts_of(webhook, "refusals")))
    (alert,) = alerts_of(webhook, "refusals")
    assert (alert["subject"], alert["more"]) == ("127.0.0.1", "not_authenticated")
    assert alert["count"] >= 100


def test_an_egress_try_is_told_at_once(firm: Company, webhook: HookServer) -> None:
    log_of(firm.server).note(Event.EGRESS_REFUSED, object="203.0.113.7:443", detail={"by": "python"})
    eventually(lambda: bool(alerts_of(webhook, "egress")))
    assert alerts_of(webhook, "egress")[0]["severity"] == "high"


def test_a_record_that_is_altered_in_the_file_is_told(firm: Company, webhook: HookServer) -> None:
    seq = last(firm.server)
    path = log_of(firm.server).audit.database._engine.url.database
    assert path is not None
    with sqlite3.connect(path, timeout=10) as file:
        file.execute(
            "UPDATE audit_records SET data = replace(CAST(data AS TEXT), 'python', 'nobody') WHERE seq = ?",
            (seq - 1,),
        )
    file.close()
    eventually(lambda: bool(alerts_of(webhook, "chain_broken")))
    (alert,) = alerts_of(webhook, "chain_broken")
    assert alert["subject"] == f"record {seq - 1}"
    assert "vlpro audit verify" in alert["en"]
    with firm.server.http() as http:  # the service goes on, and so do the alerts
        assert http.get("/healthz").status_code == 200
    assert len(alerts_of(webhook, "chain_broken")) == 1


def test_a_webhook_that_is_down_gets_it_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    options = AlertOptions.model_validate(
        {"poll_s": 0.1, "webhook": {"url": f"http://127.0.0.1:{port}/", "secret": SECRET}}
    )
    with company(tmp_path, sqlite_url(tmp_path), alerts=options) as firm:
        log_of(firm.server).note(Event.EGRESS_REFUSED, object="203.0.113.7:443")
        eventually(lambda: bool(told(firm.server, 0, Event.ALERT_RAISED)))
        with hook(port) as webhook:
            webhook.status = 503
            time.sleep(1)
            assert webhook.got == []
            webhook.status = 302  # is not followed
            time.sleep(1)
            webhook.status = 200
            eventually(lambda: bool(webhook.got))
            assert [alert["rule"] for alert in webhook.got] == ["egress"]
        (raised,) = told(firm.server, 0, Event.ALERT_RAISED)
        assert raised["detail"]["rule"] == "egress"
    # After a restart what was told is not told again.
    with hook(port) as webhook, company(tmp_path, sqlite_url(tmp_path, "second"), alerts=options) as firm:
        time.sleep(0.5)
        assert len(told(firm.server, 0, Event.ALERT_RAISED)) == 1
        assert webhook.got == []


def test_a_file_that_cannot_be_read_is_named_at_the_start(tmp_path: Path) -> None:
    ca = str(tmp_path / "none.pem")
    options = AlertOptions.model_validate(
        {"webhook": {"url": "https://alerts.example.cn/", "secret": SECRET, "ca": ca}}
    )
    with pytest.raises(ConfigError, match=r"none\.pem"):
        parts(settings_of(tmp_path, alerts=options))
