"""The contents of a request's body, as far as routing and metering need them."""

from typing import Final

from clauseway.gateway.wire.bodies.decoding import Decode, RequestProperties
from clauseway.gateway.wire.bodies.escapes import text_bytes
from clauseway.gateway.wire.bodies.identifiers import identifiers_in
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED, ChatRequest, FormRequest


class BodyContents:
    """The contents of a body. The router reads them once; no later step searches the bytes again.

    `needs` are the capabilities that a deployment has to have. `text_bytes` is the most bytes that
    the text can have. `named_ids` are the resources that the body names, files in its messages and
    tools included.
    """

    def __init__(
        self,
        properties: RequestProperties,
        needs: Needs = PLAIN,
        text_bytes: int = 0,
        named_ids: tuple[str, ...] = (),
    ) -> None:
        self.properties: Final = properties
        self.needs: Final = needs
        self.text_bytes: Final = text_bytes
        self.named_ids: Final = named_ids


NO_CONTENTS: Final = BodyContents(NOTHING_ASKED)


def read_body(decode: Decode, body: bytes, content_type: bytes) -> BodyContents:
    """Read the body of a request that is routed by its model. Raise BadBody."""
    properties = decode(body, content_type)
    needs = properties.needs(body)
    named_ids = properties.named_ids
    # Files are parts of messages and of tools; a plain chat has none, and is spared the search.
    if needs is not PLAIN or not isinstance(properties.decoded, ChatRequest):
        # Pictures and sound are no text: nothing is named in them, and searching them takes long.
        if isinstance(properties.decoded, FormRequest):
            return BodyContents(properties, needs, len(body), named_ids)
        named_ids = (*named_ids, *identifiers_in(body))
    return BodyContents(properties, needs, text_bytes(body), named_ids)


def read_upload(decode: Decode, body: bytes, content_type: bytes) -> BodyContents:
    """Read the body of a request that is not routed by a model, such as an upload. It may be of any
    size, so its bytes are not searched. Raise BadBody."""
    properties = decode(body, content_type)
    return BodyContents(properties, properties.needs(body), len(body), properties.named_ids)
