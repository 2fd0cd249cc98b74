"""A conversation with pictures, places and a failure."""

from __future__ import annotations

from vlpro import schema

__all__ = ["conversation"]

IMAGE = schema.ImageInfo(
    id="img_1",
    created=0,
    format="png",
    bytes=10,
    sha256="ab" * 32,
    width=800,
    height=1140,
    used_width=800,
    used_height=1140,
    shrunk=False,
    tokens=900,
)


def _place(image: int) -> schema.Grounding:
    return schema.Grounding(image=image, box=(1, 2, 3.4, 4), label="合计", text="486.50", confidence=0.9)


def _extension(*images: int) -> schema.Extension:
    return schema.Extension(engine="ocr", grounding=[_place(image) for image in images])


def conversation() -> schema.Conversation:
    ask, reply = schema.Message, schema.Message
    return schema.Conversation(
        id="conv_1",
        created=0,
        updated=0,
        title="合计金额是多少？",
        busy=False,
        tokens=1000,
        image_count=3,
        messages=[
            ask(id="q1", role="user", text="合计金额是多少？", created=0, images=[IMAGE]),
            reply(id="a1", role="assistant", text="**486.50**", created=1, vlpro=_extension(1)),
            ask(id="q2", role="user", text="比较", created=2, images=[IMAGE, IMAGE]),
            reply(
                id="a2",
                role="assistant",
                text="",
                created=3,
                status="failed",
                vlpro=_extension(3, 1, 3, 9),
                error=schema.ErrorBody(message="It failed.", type="server_error", vlpro={"zh": "出错了。"}),
            ),
        ],
    )
