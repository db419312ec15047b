"""Pictures into files: as SVG, and as PNG where the library that draws it is installed."""

from pathlib import Path

from clauseway.app.opening.places import file_at
from clauseway.web.pictures import png_of


def write_pictures(drawn: str, svg: Path | None, png: Path | None) -> None:
    """Write a drawn picture into the files that are named. Raise InvalidInput."""
    # The PNG comes first: where it cannot be drawn, nothing is written.
    pictures = [(png, png_of(drawn))] if png is not None else []
    pictures += [(svg, drawn.encode())] if svg is not None else []
    for path, content in pictures:
        with file_at(path, problem="the picture cannot be written") as beside:
            beside.write_bytes(content)
