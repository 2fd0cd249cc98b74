"""Golden templates of products: stored by who owns them, and given to who compares."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.chat.service import Upload
from vlpro.errors import BadRequestError, NotFoundError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import to_png
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader
from vlpro.workflows.inspection.template_store import Copper, GoldenTemplate, TemplateStore

__all__ = ["GoldenTemplates", "named", "no_template"]

_MOST_BYTES = 200_000_000  # pixels that stay in memory


class GoldenTemplates:
    """Golden templates by product; they belong to who stored them.

    Args:
        reader: Reads pictures.
        store: Where they are.
        recorder: Of the audit.
        max_pixels: With which pictures are compared.
        clock: Unix time.
    """

    def __init__(
        self,
        reader: PictureReader,
        store: TemplateStore,
        recorder: Recorder,
        *,
        max_pixels: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._store = store
        self._recorder = recorder
        self._max_pixels = max_pixels
        self._clock = clock
        self._known: OrderedDict[tuple[str, float], Picture] = OrderedDict()

    def clear(self) -> None:
        """Forget the pictures in memory."""
        self._known.clear()

    async def find(self, person: Person, product: str) -> GoldenTemplate | None:
        """A product's template that somebody may use; None: there is none."""
        found = await asyncio.to_thread(self._store.get, self._store.id_of(person.id, product))
        return found if found is not None and found.level <= person.level else None

    async def pixels(self, one: GoldenTemplate) -> Picture:
        """A template to compare with. Raises: BadRequestError: it was deleted meanwhile."""
        known = self._known.get((one.id, one.created))
        if known is not None:
            self._known.move_to_end((one.id, one.created))
            return known
        found = await asyncio.to_thread(self._store.picture, one.id)
        if found is None:
            raise no_template(one.product)
        one, png = found
        read = await self._reader.read(png, max_pixels_used=self._max_pixels)
        # By the digest of the file that somebody sent, not of the clean one that was stored.
        read = replace(read, sha256=one.sha256)
        self._known[one.id, one.created] = read
        while len(self._known) > 1 and sum(p.pixels.nbytes for p in self._known.values()) > _MOST_BYTES:
            self._known.popitem(last=False)
        return read

    async def put(
        self, person: Person, product: str, image: Upload, *, copper: Copper | None = None
    ) -> GoldenTemplate:
        """Store the golden picture of a product, in place of the one before.

        Args:
            person: Whose.
            product: Its name.
            image: The picture.
            copper: Which of its two tones the conductors are; None: as its colours suggest.

        Raises:
            BadRequestError: It is no usable picture.
        """
        read = await self._reader.read(image.data, max_pixels_used=self._max_pixels, param=image.param)
        name = self._store.id_of(person.id, product)
        one = GoldenTemplate(
            name,
            person.id,
            int(person.level),
            self._clock(),
            product,
            read.original_width,
            read.original_height,
            read.sha256,
            copper,
        )
        await self._recorder.anote(
            Event.TEMPLATE_CHANGED, object=name, detail={"product": product, "images": [named(read)]}
        )
        png = await asyncio.to_thread(to_png, read)
        await asyncio.to_thread(self._store.put, one, png)
        self._forget(name)
        return one

    async def get(self, person: Person, product: str) -> GoldenTemplate:
        """What is known of one's own template. Raises: NotFoundError."""
        found = await asyncio.to_thread(self._store.get, self._store.id_of(person.id, product))
        if found is None:
            raise _no_such_template(product)
        check_read(person.level, Level(found.level))
        return found

    async def picture(self, person: Person, product: str) -> bytes:
        """One's own template, as PNG. Raises: NotFoundError."""
        one = await self.get(person, product)
        found = await asyncio.to_thread(self._store.picture, one.id)
        if found is None:
            raise _no_such_template(product)
        return found[1]

    async def all_of(self, person: Person) -> list[GoldenTemplate]:
        """One's own templates, by product."""
        return await asyncio.to_thread(self._store.all_of, person.id, person.level)

    async def delete(self, person: Person, product: str) -> str:
        """Delete one's own template; returns its id. Raises: NotFoundError."""
        one = await self.get(person, product)
        await self._recorder.anote(
            Event.TEMPLATE_CHANGED, object=one.id, detail={"product": product, "images": []}
        )
        self._forget(one.id)
        if not await asyncio.to_thread(self._store.delete, one.id):
            raise _no_such_template(product)
        return one.id

    def _forget(self, name: str) -> None:
        for key in [key for key in self._known if key[0] == name]:
            del self._known[key]


def _no_such_template(product: str) -> NotFoundError:
    return NotFoundError(
        f"There is no golden picture for product {product}.",
        zh=f"产品 {product} 没有标准图。",
        code="template_not_found",
    )


def no_template(product: str) -> BadRequestError:
    """There is none, of this product, or at all."""
    if product:
        return BadRequestError(
            f"There is no golden picture for product {product}. Send one as template_image, or store one: PUT "
            f"/v1/inspections/templates/{product}.",
            zh=f"产品 {product} 没有标准图。请在 template_image 中发送，或先保存："
            f"PUT /v1/inspections/templates/{product}。",
            param="template_image",
            code="template_not_found",
        )
    return BadRequestError(
        "There is nothing to compare with. Send a golden picture as template_image, or name a product that has one.",
        zh="没有可比对的标准图。请在 template_image 中发送，或用 product 指定已保存标准图的产品。",
        param="template_image",
        code="missing_required_parameter",
    )


def named(picture: Picture) -> dict[str, Any]:
    """A picture, as the record names it."""
    return {
        "sha256": picture.sha256,
        "bytes": picture.size,
        "format": picture.format,
        "width": picture.original_width,
        "height": picture.original_height,
    } | ({"sm3": picture.sm3} if picture.sm3 else {})
