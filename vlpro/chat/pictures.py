"""Pictures of conversations, in memory only: bounded in bytes and in time."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vlpro.errors import BusyError, NotFoundError
from vlpro.imaging.picture import Picture

__all__ = ["KeptPicture", "PictureNote", "PictureStore"]


@dataclass(frozen=True, slots=True)
class PictureNote:
    """What stays known of a picture without its pixels.

    Args:
        id: Its name in the API.
        created: Unix time, seconds.
        sha256: Of the file as it came.
        format: Of that file.
        size: Of that file, bytes.
        original_width: Of the upright original, pixels.
        original_height: Likewise.
        width: As the engine was given it, pixels.
        height: Likewise.
        stored: Whether it can be had from the store.
    """

    id: str
    created: float
    sha256: str
    format: str
    size: int
    original_width: int
    original_height: int
    width: int
    height: int
    stored: bool = False

    @property
    def shrunk(self) -> bool:
        """Whether the engine was given fewer pixels than the original's."""
        return (self.width, self.height) != (self.original_width, self.original_height)

    @property
    def note(self) -> PictureNote:
        """Itself: as :attr:`KeptPicture.note`."""
        return self


@dataclass(slots=True)
class KeptPicture:
    """One picture in memory.

    Args:
        id: Its name in the API; not to be guessed.
        owner: Whose it is.
        data: The file as it came, from which the original size is drawn when somebody looks closely.
        picture: Clean pixels as the engine wants them.
        created: Unix time, seconds.
        used: Unix time of the last use, seconds.
        held: How many conversations hold it; 0: it may be dropped.
    """

    id: str
    owner: str
    data: bytes
    picture: Picture
    created: float
    used: float
    held: int = 0

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return len(self.data) + self.picture.pixels.nbytes

    @property
    def note(self) -> PictureNote:
        """What stays known of it."""
        picture = self.picture
        return PictureNote(
            id=self.id,
            created=self.created,
            sha256=picture.sha256,
            format=picture.format,
            size=picture.size,
            original_width=picture.original_width,
            original_height=picture.original_height,
            width=picture.width,
            height=picture.height,
        )


class PictureStore:
    """Keeps pictures by id, the least recently used first to go.

    Args:
        max_bytes: Memory for all together; pictures that no conversation holds make room first.
        ttl_s: Seconds after which a picture that no conversation holds goes.
        clock: Unix time.

    Attributes:
        dropped: Called with each picture that leaves memory, for whatever reason.
    """

    dropped: Callable[[KeptPicture], None] = staticmethod(lambda _: None)

    def __init__(self, *, max_bytes: int, ttl_s: float, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: OrderedDict[str, KeptPicture] = OrderedDict()
        self._bytes = 0

    @property
    def bytes_used(self) -> int:
        """Memory of all pictures together."""
        return self._bytes

    def add(
        self, owner: str, data: bytes, picture: Picture, *, again: PictureNote | None = None
    ) -> KeptPicture:
        """Keep a picture.

        Args:
            owner: Whose it is.
            data: The file.
            picture: Its pixels.
            again: As what it was known before, where it comes from the store.

        Raises:
            BusyError: The memory is full of pictures that conversations hold.
        """
        self.expire()
        now = self._clock()
        name = again.id if again is not None else f"img_{secrets.token_hex(12)}"
        kept = KeptPicture(name, owner, data, picture, again.created if again is not None else now, now)
        for old in [k for k in self._kept.values() if not k.held]:
            if self._bytes + kept.cost <= self._max_bytes:
                break
            self._drop(old)
        if self._bytes + kept.cost > self._max_bytes:
            raise BusyError(
                "The memory for pictures is full. Clear a conversation, then try again.",
                zh="图片内存已满，请先清空一个对话再试。",
                retry_after=60,
            )
        self._kept[kept.id] = kept
        self._bytes += kept.cost
        return kept

    def get(self, owner: str, picture_id: str, *, param: str | None = None) -> KeptPicture:
        """One's own picture.

        Raises:
            NotFoundError: There is none of this id, it has expired, or it is somebody else's.
        """
        self.expire()
        kept = self._kept.get(picture_id)
        if kept is None or kept.owner != owner:
            raise NotFoundError(
                "This picture is no longer in memory. Add it again.",
                zh="这张图片已不在内存中，请重新添加。",
                param=param,
                code="image_not_found",
                foreign=kept is not None,
            )
        kept.used = self._clock()
        self._kept.move_to_end(picture_id)
        return kept

    def find(self, owner: str, picture_id: str) -> KeptPicture | None:
        """As :meth:`get`, without a refusal."""
        kept = self._kept.get(picture_id)
        return kept if kept is not None and kept.owner == owner else None

    def discard(self, picture_id: str) -> None:
        """Drop a picture; nothing happens where there is none."""
        if kept := self._kept.get(picture_id):
            self._drop(kept)

    def free(self, pictures: Iterable[KeptPicture]) -> int:
        """Drop those of some pictures that no conversation holds; returns how many."""
        free = {kept.id for kept in pictures if not kept.held}
        for picture_id in free:
            self.discard(picture_id)
        return len(free)

    def expire(self) -> None:
        """Drop what no conversation holds and nobody used for the time to live."""
        oldest = self._clock() - self._ttl_s
        for kept in [k for k in self._kept.values() if not k.held and k.used < oldest]:
            self._drop(kept)

    def digests(self) -> frozenset[str]:
        """``pixels_sha256`` of all pictures that are kept."""
        return frozenset(kept.picture.pixels_sha256 for kept in self._kept.values())

    def _drop(self, kept: KeptPicture) -> None:
        del self._kept[kept.id]
        self._bytes -= kept.cost
        self.dropped(kept)
