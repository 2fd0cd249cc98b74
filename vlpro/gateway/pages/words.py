"""What routes say on the pages, in the language of who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from vlpro.errors import DirectoryUnavailableError, VlproError
from vlpro.gateway.pages.render import Page, render
from vlpro.gateway.pages.strings import LANGUAGES, Language, text
from vlpro.identity.passwords import PasswordProblem
from vlpro.identity.policy import Policy
from vlpro.identity.sign_in import Refusal, RefusedError
from vlpro.languages import LANGUAGE_COOKIE, preferred_language

__all__ = ["Words", "words_of"]

_YEAR_S = 31_536_000
_PROBLEMS = {
    "length": ("short", "n"),
    "long": ("long", "n"),
    "classes": ("classes", "k"),
    "contains": ("name", ""),
    "guessable": ("guessed", ""),
    "same": ("same", ""),
    "used": ("history", "n"),
}


class Words:
    """Sentences and pages in one language.

    Args:
        language: Which.
        chosen: Whether it was chosen with this very request, and is to be remembered.
        secure: Whether the page came over TLS.
    """

    def __init__(self, language: Language, *, chosen: bool = False, secure: bool = True) -> None:
        self.language: Language = language
        self._chosen = chosen
        self._secure = secure

    def __call__(self, key: str, **values: object) -> str:
        """A sentence."""
        return text(key, self.language, **values)

    def page(self, page: Page, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page."""
        answer = render(page, self.language, status=status, **context)
        if self._chosen:
            answer.set_cookie(
                LANGUAGE_COOKIE, self.language, max_age=_YEAR_S, samesite="lax", secure=self._secure
            )
        return answer

    def sentence(self, error: VlproError) -> str:
        """What an error of the service says."""
        if isinstance(error, DirectoryUnavailableError):
            return self("error.directory")
        return error.zh if self.language == "zh" else error.message

    def refusal(self, refused: RefusedError, lock_minutes: int, *, method: str = "") -> str:
        """Why a step was refused.

        Args:
            refused: The refusal.
            lock_minutes: How long a lock lasts.
            method: The second factor that was tried.
        """
        value = refused.value
        sentences: dict[Refusal, tuple[str, dict[str, object]]] = {
            Refusal.WRONG: ("error.login_wrong", {"left": value}),
            Refusal.LOCKED: ("error.too_many", {"minutes": value}),
            Refusal.NO_ROLE: ("error.no_role", {}),
            Refusal.NO_ENTRY: ("error.disabled", {}),
            Refusal.CODE: ("error.recovery_wrong" if method == "recovery" else "error.code_wrong", {}),
            Refusal.REPLAY: ("error.code_used", {}),
            Refusal.DRIFT: ("drift.fast" if value > 0 else "drift.slow", {"seconds": abs(value)}),
            Refusal.PASSKEY: ("error.passkey_refused", {}),
            Refusal.EXPIRED: ("error.expired", {}),
        }
        key, values = sentences[refused.refusal]
        if refused.refusal is Refusal.WRONG and value == 1:
            key, values = "error.login_wrong_last", {"minutes": lock_minutes}
        return self(key, **values)

    def problems(self, found: Sequence[PasswordProblem]) -> tuple[str, ...]:
        """The rules that a password breaks."""
        told = []
        for problem in found:
            key, place = _PROBLEMS[problem.rule]
            told.append(self(f"problem.{key}", **({place: problem.value} if place else {})))
        return tuple(told)

    def rules(self, policy: Policy) -> tuple[str, ...]:
        """The rules for a new password."""
        return (
            self("rule.length", n=policy.password_min_length),
            self("rule.classes", k=policy.password_classes),
            self("rule.name"),
            self("rule.history", n=policy.password_history),
            self("rule.guess"),
        )


def words_of(request: Request, language: Language | None = None) -> Words:
    """The words for who asks: chosen with the request, chosen earlier, or the browser's language.

    Args:
        request: The request.
        language: Instead of all that.
    """
    secure = request.url.scheme == "https"
    asked = request.query_params.get("lang", "")
    if language is None and asked in LANGUAGES:
        return Words(asked, chosen=True, secure=secure)
    preferred = preferred_language(
        request.headers.get("accept-language", ""), request.cookies.get(LANGUAGE_COOKIE, "")
    )
    return Words(language or ("zh" if preferred == "zh" else "en"), secure=secure)
