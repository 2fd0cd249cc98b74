"""Second factors of an account: one-time codes, passkeys (Web Authentication Level 2) and recovery codes."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import BadRequestError, ConflictError, NotFoundError, UnsupportedError
from vlpro.identity import recovery, totp
from vlpro.identity.tables import passkeys, sessions, sign_ins, totps
from vlpro.identity.tokens import new_id

__all__ = ["Factors", "Held", "Offer", "Passkey", "Place"]

log = logging.getLogger(__name__)

PRODUCT = "Qwen3-VL-4B Pro"
_MOST_PASSKEYS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """What a ceremony belongs to: a sign-in that is not complete, or a session. Another one cannot finish it.

    Args:
        table: ``sign_ins`` or ``sessions``.
        key: Primary key of its row.
    """

    table: sa.Table
    key: bytes | str

    @property
    def row(self) -> sa.ColumnElement[bool]:
        """The condition that finds it."""
        column = sign_ins.c.token if self.table is sign_ins else sessions.c.id
        return column == self.key


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it; times are Unix seconds."""

    id: str
    name: str
    created_at: float
    used_at: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """The second factors of an account.

    Args:
        totp_at: Unix time since which codes are set up; None: they are not.
        passkeys: The oldest first.
        recovery_left: Unused recovery codes.
    """

    totp_at: float | None
    passkeys: tuple[Passkey, ...]
    recovery_left: int

    @property
    def any(self) -> bool:
        """Whether there is one that is not only for recovery."""
        return self.totp_at is not None or bool(self.passkeys)


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret to set an authenticator app up with: as text, and as a QR code (``data:`` URI)."""

    secret: str
    qr: str


class Factors:
    """Sets second factors up and checks them. Counting failures is the caller's.

    Args:
        database: Where they are.
        sealer: Seals the secrets of one-time codes.
        public_url: Where people find the service; passkeys belong to its host name.
        clock: Unix time.
        recorder: Of the audit.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        public_url: str,
        *,
        clock: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._database = database
        self._sealer = sealer
        self._clock = clock
        parts = urlsplit(public_url)
        self._host = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"

    @property
    def passkeys_possible(self) -> bool:
        """Whether the service has a name: passkeys cannot belong to an address (section 5.1.3, step 7)."""
        try:
            ipaddress.ip_address(self._host)
        except ValueError:
            return bool(self._host)
        return False

    def of(self, account: str) -> Held:
        """All of an account."""
        with self._database.read() as connection:
            since = connection.execute(
                sa.select(totps.c.created_at).where(totps.c.account == account)
            ).scalar()
            rows = connection.execute(
                sa.select(passkeys).where(passkeys.c.account == account).order_by(passkeys.c.created_at)
            ).all()
            found = tuple(Passkey(row.id, row.name, row.created_at, row.used_at) for row in rows)
            return Held(since, found, recovery.left(connection, account))

    # --- one-time codes

    def offer_totp(self, place: Place, account: str, login: str) -> Offer:
        """A secret to be set up; the same until it is confirmed, so that a reload does not spoil a scan."""
        with self._database.write() as connection:
            sealed = connection.execute(sa.select(place.table.c.offer).where(place.row)).scalar()
            if sealed is None:
                secret = totp.new_secret()
                sealed = self._sealer.seal(secret.encode(), f"offer:{account}")
                connection.execute(sa.update(place.table).where(place.row).values(offer=sealed))
            else:
                secret = self._sealer.open(sealed, f"offer:{account}").decode()
        return Offer(totp.grouped(secret), totp.qr(totp.uri(secret, login, PRODUCT)))

    def accept_totp(self, place: Place, account: str, code: str) -> totp.Code:
        """Put the offered secret in force, if the code is one of it; it replaces the one before."""
        with self._database.write() as connection:
            sealed = connection.execute(sa.select(place.table.c.offer).where(place.row)).scalar()
            if sealed is None:
                return totp.Code()
            secret = self._sealer.open(sealed, f"offer:{account}")
            result = totp.check(secret.decode(), code, self._clock(), 0)
            if result.step is not None:
                self._changed(account, "one-time codes set up")
                connection.execute(sa.delete(totps).where(totps.c.account == account))
                connection.execute(
                    sa.insert(totps).values(
                        account=account,
                        secret=self._sealer.seal(secret, f"totps.secret:{account}"),
                        last_step=result.step,
                        created_at=self._clock(),
                    )
                )
                connection.execute(sa.update(place.table).where(place.row).values(offer=None))
            return result

    def check_totp(self, account: str, code: str) -> totp.Code:
        """Check a code; one that is accepted is used up, for every replica."""
        with self._database.write() as connection:
            row = connection.execute(sa.select(totps).where(totps.c.account == account)).one_or_none()
            if row is None:
                return totp.Code()
            secret = self._sealer.open(row.secret, f"totps.secret:{account}").decode()
            result = totp.check(secret, code, self._clock(), row.last_step)
            if result.step is None:
                return result
            taken = connection.execute(
                sa.update(totps)
                .where(totps.c.account == account, totps.c.last_step < result.step)
                .values(last_step=result.step)
            )
            return result if taken.rowcount else totp.Code(replayed=True)

    # --- passkeys

    def registration_options(self, place: Place, account: str, login: str, name: str) -> str:
        """What the browser needs to make a passkey: PublicKeyCredentialCreationOptionsJSON.

        Raises:
            UnsupportedError: The service has no name to which it could belong.
            ConflictError: There are as many as one may have.
        """
        self._check_possible()
        with self._database.write() as connection:
            held = connection.execute(
                sa.select(passkeys.c.credential).where(passkeys.c.account == account)
            ).scalars()
            known = [PublicKeyCredentialDescriptor(id=credential) for credential in held]
            if len(known) >= _MOST_PASSKEYS:
                raise ConflictError(
                    f"You have {_MOST_PASSKEYS} passkeys. Remove one first.",
                    zh=f"您已有 {_MOST_PASSKEYS} 个通行密钥，请先移除一个。",
                )
            options = webauthn.generate_registration_options(
                rp_id=self._host,
                rp_name=PRODUCT,
                user_name=login,
                user_id=account.encode(),
                user_display_name=name,
                exclude_credentials=known,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.DISCOURAGED,
                    user_verification=UserVerificationRequirement.PREFERRED,
                ),
            )
            self._remember(connection, place, options.challenge)
        return webauthn.options_to_json(options)

    def register(self, place: Place, account: str, credential: dict[str, Any], name: str) -> None:
        """Keep the passkey that the browser made.

        Raises:
            BadRequestError: It is not an answer to the options that were given.
        """
        self._check_possible()
        with self._database.write() as connection:
            challenge = self._challenge(connection, place)
            try:
                made = webauthn.verify_registration_response(
                    credential=credential,
                    expected_challenge=challenge,
                    expected_rp_id=self._host,
                    expected_origin=self._origin,
                )
                self._changed(account, "passkey added")
                connection.execute(
                    sa.insert(passkeys).values(
                        id=new_id("psk"),
                        account=account,
                        credential=made.credential_id,
                        public_key=made.credential_public_key,
                        sign_count=made.sign_count,
                        name=name.strip()[:64] or "Passkey",
                        created_at=self._clock(),
                    )
                )
            except (WebAuthnException, sa.exc.IntegrityError, KeyError, TypeError, ValueError) as error:
                raise _bad_passkey(error) from error

    def authentication_options(self, place: Place, account: str) -> str:
        """What the browser needs to use a passkey: PublicKeyCredentialRequestOptionsJSON.

        Raises:
            UnsupportedError: The service has no name to which one could belong.
            NotFoundError: The account has none.
        """
        self._check_possible()
        with self._database.write() as connection:
            held = connection.execute(
                sa.select(passkeys.c.credential).where(passkeys.c.account == account)
            ).scalars()
            known = [PublicKeyCredentialDescriptor(id=credential) for credential in held]
            if not known:
                raise NotFoundError("This account has no passkey.", zh="该账号没有通行密钥。")
            options = webauthn.generate_authentication_options(rp_id=self._host, allow_credentials=known)
            self._remember(connection, place, options.challenge)
        return webauthn.options_to_json(options)

    def check_passkey(self, place: Place, account: str, credential: dict[str, Any]) -> bool:
        """Whether the browser's answer proves one of the account's passkeys; each challenge counts once."""
        if not self.passkeys_possible:
            return False
        with self._database.write() as connection:
            try:
                challenge = self._challenge(connection, place)
                raw = webauthn.base64url_to_bytes(str(credential["id"]))
                row = connection.execute(
                    sa.select(passkeys).where(passkeys.c.account == account, passkeys.c.credential == raw)
                ).one_or_none()
                if row is None:
                    return False
                proven = webauthn.verify_authentication_response(
                    credential=credential,
                    expected_challenge=challenge,
                    expected_rp_id=self._host,
                    expected_origin=self._origin,
                    credential_public_key=row.public_key,
                    credential_current_sign_count=row.sign_count,
                )
            except (BadRequestError, WebAuthnException, KeyError, TypeError, ValueError) as error:
                log.warning("a passkey was refused: %s", type(error).__name__)
                return False
            connection.execute(
                sa.update(passkeys)
                .where(passkeys.c.id == row.id)
                .values(sign_count=proven.new_sign_count, used_at=self._clock())
            )
        return True

    def remove_passkey(self, account: str, passkey_id: str, *, needed: bool) -> None:
        """Remove a passkey.

        Args:
            account: Whose.
            passkey_id: Which.
            needed: Whether the policy asks this account for a second factor: the last one then stays.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is the last second factor.
        """
        held = self.of(account)
        if needed and held.totp_at is None and len(held.passkeys) == 1:
            raise ConflictError(
                "This is your only second factor. Set up another one first.",
                zh="这是您唯一的第二因素，请先设置另一个。",
            )
        with self._database.write() as connection:
            removed = connection.execute(
                sa.delete(passkeys).where(passkeys.c.account == account, passkeys.c.id == passkey_id)
            )
            if not removed.rowcount:
                raise NotFoundError("There is no such passkey.", zh="没有这个通行密钥。")
            self._changed(account, "passkey removed")

    # --- recovery codes

    def new_recovery_codes(self, account: str) -> list[str]:
        """Ten new codes, to be shown once; earlier ones are void."""
        with self._database.write() as connection:
            self._changed(account, "new recovery codes")
            return recovery.replace(connection, self._sealer, account)

    def burn_recovery_code(self, account: str, code: str) -> bool:
        """Use a recovery code up; whether it was one."""
        with self._database.write() as connection:
            return recovery.burn(connection, self._sealer, account, code)

    # ---

    def _changed(self, account: str, what: str) -> None:
        self._recorder.note(Event.FACTOR_CHANGED, object=account, detail={"what": what})

    def _check_possible(self) -> None:
        if not self.passkeys_possible:
            raise UnsupportedError(
                "Passkeys need the service to have a host name (VLPRO_PUBLIC_URL), not a bare address.",
                zh="通行密钥要求服务使用域名访问（VLPRO_PUBLIC_URL），不能是 IP 地址。",
            )

    def _remember(self, connection: sa.Connection, place: Place, challenge: bytes) -> None:
        connection.execute(sa.update(place.table).where(place.row).values(challenge=challenge))

    def _challenge(self, connection: sa.Connection, place: Place) -> bytes:
        """The challenge that was given, which is forgotten with this."""
        challenge: bytes | None = connection.execute(
            sa.select(place.table.c.challenge).where(place.row)
        ).scalar()
        connection.execute(sa.update(place.table).where(place.row).values(challenge=None))
        if challenge is None:
            raise _bad_passkey(None)
        return challenge


def _bad_passkey(error: Exception | None) -> BadRequestError:
    if error is not None:
        log.warning("a passkey was refused: %s", type(error).__name__)
    return BadRequestError(
        "The passkey was not accepted. Try again.", zh="通行密钥未被接受，请重试。", code="passkey_refused"
    )
