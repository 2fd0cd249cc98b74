"""What alerts can be told of where they go, and what is refused; each option is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from vlpro.audit.alerts.alert import Rule
from vlpro.audit.alerts.options import AlertOptions, MailOptions, SyslogTarget, Thresholds, WebhookOptions

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"
HOOK = {"url": "https://soc.example.cn/x", "secret": "x" * 16}
MAIL = {"host": "mail.example.cn", "sender": "a@example.cn", "to": ["b@example.cn"]}


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("webhook", HOOK | {"url": "http://soc.example.cn/x"}),
        ("webhook", HOOK | {"url": "http://127.0.0.1.example.cn/"}),
        ("webhook", HOOK | {"url": "https://user:secret@soc.example.cn/"}),
        ("webhook", HOOK | {"url": "https://soc.example.cn:0/"}),
        ("webhook", HOOK | {"url": "https://soc.example.cn:99999/"}),
        ("webhook", HOOK | {"url": "https://soc.example.cn/ x"}),
        ("webhook", HOOK | {"url": "file:///etc/passwd"}),
        ("webhook", HOOK | {"secret": "tiny-one"}),
        ("webhook", {"url": HOOK["url"]}),
        ("syslog", {"url": "log.example.cn:514"}),
        ("syslog", {"url": "udp://"}),
        ("syslog", {"url": "tls://log.example.cn/path"}),
        ("syslog", {"url": "unix://dev/log"}),
        ("syslog", {"url": "tcp://log.example.cn", "sd_id": 'a"b@1'}),
        ("mail", MAIL | {"security": "none"}),
        ("mail", MAIL | {"user": "vlpro"}),
        ("mail", MAIL | {"sender": "a@example.cn\r\nBcc: x@example.cn"}),
        ("mail", MAIL | {"to": []}),
        ("thresholds", {"login_failures": 0}),
        ("thresholds", {"unknown": 1}),
        ("poll_s", 21),
    ],
)
def test_what_is_unsafe_or_wrong_is_refused(part: str, fields: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        AlertOptions.model_validate({part: fields})
    assert "tiny-one" not in str(refused.value)


def test_what_is_fine_is_taken_and_secrets_do_not_show() -> None:
    options = AlertOptions.model_validate(
        {
            "webhook": HOOK | {"secret": "a-secret-of-the-tests"},
            "syslog": {"url": "unix:///dev/log"},
            "mail": MAIL | {"host": "localhost", "security": "none", "user": "u", "password": "hidden-one"},
        }
    )
    assert "of-the-tests" not in repr(options)
    assert "hidden-one" not in repr(options)
    AlertOptions.model_validate({"webhook": HOOK | {"url": "http://[::1]:8080/x"}})


def test_every_option_and_rule_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    parts: dict[str, type[BaseModel]] = {
        "": AlertOptions,
        "thresholds.": Thresholds,
        "webhook.": WebhookOptions,
        "syslog.": SyslogTarget,
        "mail.": MailOptions,
    }
    for prefix, model in parts.items():
        for name, field in model.model_fields.items():
            if f"{name}." in parts:
                continue
            default = (
                field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
            )
            shown = "needed" if field.is_required() else f"`{default}`" if default != "" else "(none)"
            assert f"| `{prefix}{name}` | {shown} | {field.description} |" in page, name
    for rule in Rule:
        assert f"| `{rule}` |" in page
