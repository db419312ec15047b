"""Pictures into files: as SVG, and as PNG where the library that draws it is installed."""

from pathlib import Path

from clauseway.values import InvalidInput, Problem
from clauseway.web.pictures import png_of


def write_pictures(drawn: str, svg: Path | None, png: Path | None) -> None:
    """Write a drawn picture into the files that are named. Raise InvalidInput."""
    # The PNG comes first: where it cannot be drawn, nothing is written.
    pictures = [(png, png_of(drawn))] if png is not None else []
    pictures += [(svg, drawn.encode())] if svg is not None else []
    for path, content in pictures:
        try:
            path.write_bytes(content)
        except OSError as error:
            raise InvalidInput(
                Problem(
                    what="the picture cannot be written",
                    why=error.strerror or str(error),
                    where=str(path),
                    todo="Name a file in a folder that exists.",
                )
            ) from None
