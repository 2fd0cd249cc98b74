"""Every error of the product, in one tree; each carries a sentence that a person can act on.

VlproError                     code, param and two sentences (English and Chinese)
├── BadRequestError            the request itself is wrong; names the field
│   ├── ImageError             a picture cannot be used: not an image, broken, too large
│   ├── ContextLengthError     the question, its pictures and the answer do not fit
│   ├── UnsupportedError       a field or value that this engine cannot honour
│   ├── RequestTooLargeError   the body is larger than allowed
│   └── RequestTimeoutError    the client stopped sending the body
├── NotFoundError              no such route, model, conversation or picture
├── MethodNotAllowedError      the route exists, the method does not
├── UnauthenticatedError       no session and no key that is valid here
├── ForbiddenError             this person, address, host or page may not do this
├── ConflictError              it contradicts what is there already
├── BusyError                  the queue is full; says when to try again
├── EngineError                the engine failed; nothing of the request was at fault
│   ├── EngineUnavailableError it is not running or not yet ready
│   └── EngineTimeoutError     it took longer than allowed
├── DirectoryUnavailableError  the company's directory does not answer
├── DatabaseError              the database is gone, locked or full
├── AuditError                 the audit record cannot be written: nothing is done without
├── BackupError                a backup cannot be made, or is not what it must be
└── ConfigError                a setting is missing or contradicts another one
    └── ModelFilesError        a model's folder is not what its manifest says
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuditError",
    "BackupError",
    "BadRequestError",
    "BusyError",
    "ConfigError",
    "ConflictError",
    "ContextLengthError",
    "DatabaseError",
    "DirectoryUnavailableError",
    "EngineError",
    "EngineTimeoutError",
    "EngineUnavailableError",
    "ForbiddenError",
    "ImageError",
    "MethodNotAllowedError",
    "ModelFilesError",
    "NotFoundError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "UnauthenticatedError",
    "UnsupportedError",
    "VlproError",
]


class VlproError(Exception):
    """Base of all errors that may reach a person or a program.

    Args:
        message: One English sentence: what is wrong, and what to do about it. Never holds content of a
            picture, of a question or of a secret.
        zh: The same in Chinese; the English sentence where it is left out.
        param: The field at fault, as a path from the request's root (``messages[0].content[1].image_url``).
        code: A stable word for programs; the class's own where it is left out.
    """

    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self, message: str, *, zh: str = "", param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.zh = zh or message
        self.param = param
        self.code = code or self.default_code


class BadRequestError(VlproError):
    """The request itself is wrong."""

    default_code = "invalid_value"


class ImageError(BadRequestError):
    """A picture cannot be used: it is not an image, it is broken, or it is beyond a cap."""

    default_code = "invalid_image_format"


class ContextLengthError(BadRequestError):
    """The conversation, its pictures and the room for the answer exceed the model's context."""

    default_code = "context_length_exceeded"


class UnsupportedError(BadRequestError):
    """A field, or a value of it, that the engine in use cannot honour."""

    default_code = "unsupported_parameter"


class RequestTooLargeError(BadRequestError):
    """The body is larger than the setting allows."""

    default_code = "request_too_large"


class RequestTimeoutError(BadRequestError):
    """The client stopped in the middle of the body."""

    default_code = "request_timeout"


class NotFoundError(VlproError):
    """There is no such route, model, conversation or picture.

    Args:
        message: As for :class:`VlproError`.
        zh: As for :class:`VlproError`.
        param: As for :class:`VlproError`.
        code: As for :class:`VlproError`.
        foreign: There is, but it is somebody else's. For the audit alone: the answer is that of an unknown id.
    """

    default_code = "not_found"

    def __init__(
        self,
        message: str,
        *,
        zh: str = "",
        param: str | None = None,
        code: str | None = None,
        foreign: bool = False,
    ) -> None:
        super().__init__(message, zh=zh, param=param, code=code)
        self.foreign = foreign


class MethodNotAllowedError(VlproError):
    """The route exists, but not with this method."""

    default_code = "method_not_allowed"


class UnauthenticatedError(VlproError):
    """Nobody is signed in, or the key is not valid here. Which of the two, and why, stands in the log alone."""

    default_code = "not_authenticated"

    def __init__(
        self,
        message: str = "",
        *,
        zh: str = "",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        if not message:
            message = "Sign in, or send a valid API key: Authorization: Bearer vlp_…."
            zh = "请先登录，或在请求中携带有效的 API 密钥：Authorization: Bearer vlp_…。"
        super().__init__(message, zh=zh, param=param, code=code)


class ForbiddenError(VlproError):
    """This person, address, host or page may not do this."""

    default_code = "forbidden"


class ConflictError(VlproError):
    """What is asked for contradicts what is there already."""

    default_code = "conflict"


class BusyError(VlproError):
    """The queue is full.

    Args:
        message: As for :class:`VlproError`.
        retry_after: Seconds after which a new try makes sense.
        zh: As for :class:`VlproError`.
    """

    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int, zh: str = "") -> None:
        super().__init__(message, zh=zh)
        self.retry_after = retry_after


class EngineError(VlproError):
    """The engine failed; the request was not at fault."""

    default_code = "engine_error"


class EngineUnavailableError(EngineError):
    """The engine is not running or not yet ready."""

    default_code = "engine_unavailable"


class EngineTimeoutError(EngineError):
    """The engine took longer than the setting allows."""

    default_code = "engine_timeout"


class DatabaseError(VlproError):
    """The database is gone, locked or full."""

    default_code = "database_error"


class DirectoryUnavailableError(VlproError):
    """The company's directory does not answer, or answers nonsense."""

    default_code = "directory_unavailable"


class AuditError(VlproError):
    """The audit record cannot be written, and nothing is done without it."""

    default_code = "audit_error"


class BackupError(VlproError):
    """A backup cannot be made or put back, or is not what was written."""

    default_code = "backup_error"


class ConfigError(VlproError):
    """A setting is missing, wrong, or contradicts another one."""

    default_code = "configuration_error"


class ModelFilesError(ConfigError):
    """A file of a model's folder is missing, altered or unexpected, or its manifest cannot be used."""

    default_code = "model_files_error"
