"""Zstandard frames (RFC 8878) of raw blocks: valid and not compressed, so that no compressor is
needed."""

from typing import Final

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BLOCK_MAX: Final = 128 * 1024


def frame(content: bytes) -> bytes:
    """Return one whole frame that holds `content`."""
    size = len(content)
    if size < 256:
        head = b"\x20" + size.to_bytes(1)
    elif size < 65_792:
        head = b"\x60" + (size - 256).to_bytes(2, "little")
    else:
        head = b"\xa0" + size.to_bytes(4, "little")
    blocks = [content[at : at + _BLOCK_MAX] for at in range(0, size, _BLOCK_MAX)] or [b""]
    last = len(blocks) - 1
    written = [
        (len(block) << 3 | (at == last)).to_bytes(3, "little") + block
        for at, block in enumerate(blocks)
    ]
    return _MAGIC + head + b"".join(written)
