"""Forms that a browser sends: read up to a bound, and only from these pages."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request

_FIELDS_MAX = 8


async def form_sent(request: Request, bytes_max: int) -> Mapping[str, str] | None:
    """Return the fields of a form, the first of each name; None if it is longer than `bytes_max` or
    not a form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()}


def is_foreign(request: Request) -> bool:
    """Return whether a browser says that another site's page sent the form."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
