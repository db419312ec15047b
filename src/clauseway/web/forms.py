"""Parameters of addresses, and forms that a browser sends: no name is unknown, and none repeated
unless its page says so. A form is read up to a bound, and only from these pages."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from clauseway.values import InvalidInput

_FIELDS_MAX = 8
_URLENCODED = "application/x-www-form-urlencoded"
_AGAIN = "Open the page and send the form from there."
# So much of a form that is too long is read and dropped, because a browser shows no answer before it
# has sent the form.
_DROPPED_BYTES_MAX = 64 << 20


def check_sent_names(
    sent: Iterable[str], known: Collection[str], repeatable: Collection[str], noun: str
) -> None:
    """Raise InvalidInput for a name that is unknown or repeated. `noun` says whether the names are
    those of parameters or of fields."""
    for name, times in Counter(sent).items():
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else f"it takes no {noun}"
            raise _refusal(f"this page has no {noun} {name!r}", takes, f"Leave {name!r} out.", noun)
        if times > 1 and name not in repeatable:
            what, why = f"the {noun} {name!r} is given {times} times", f"this page takes one {name}"
            raise _refusal(what, why, f"Give {name!r} once.", noun)


async def form_sent(
    request: Request, bytes_max: int, known: Collection[str], command: str = ""
) -> Mapping[str, str]:
    """Return the fields of a form. Raise InvalidInput for what is not a form of these pages;
    `command` is what to use instead for a form longer than `bytes_max`."""
    refuse_foreign(request)
    body, size = b"", 0
    async for part in request.stream():
        size += len(part)
        if size <= bytes_max:
            body += part
        elif size > _DROPPED_BYTES_MAX:
            break
    if size > bytes_max:
        instead = f"Use the command line: {command}." if command else "Send less."
        raise _refusal(
            "the form cannot be read", f"it is longer than {bytes_max >> 10:,} KiB", instead
        )
    kind = request.headers.get("content-type", _URLENCODED).partition(";")[0].strip().lower()
    if kind != _URLENCODED:
        raise _refusal("the form cannot be read", f"it is not sent as {_URLENCODED}", _AGAIN)
    try:
        fields = parse_qsl(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        why = f"it is not {_URLENCODED} in UTF-8, or has more than {_FIELDS_MAX} fields"
        raise _refusal("the form cannot be read", why, _AGAIN) from None
    check_sent_names((name for name, _ in fields), known, (), "field")
    return dict(fields)


def _refusal(what: str, why: str, remedy: str, where: str = "form") -> InvalidInput:
    return InvalidInput.of(what=what, why=why, where=where, remedy=remedy)


def refuse_foreign(request: Request) -> None:
    """Raise InvalidInput if a browser says that another site's page sent the form: by
    `Sec-Fetch-Site`, or where it sends none, by `Origin`. A program sends neither.

    A browser sends `Sec-Fetch-Site` by TLS and to its own machine alone. By plain HTTP the decision
    rests on `Host`, which a proxy may have replaced.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    if site not in (None, "same-origin", "none"):
        raise _refusal("the form cannot be read", "another site's page sent it", _AGAIN)
    if site is None and origin is not None and origin.lower().partition("://")[2] != host:
        raise _refusal(
            "the form cannot be read",
            f"the browser says that {origin} sent it, and these pages are asked as {host}",
            f"{_AGAIN} Behind a proxy that replaces the header Host, open the pages by https: only "
            "there does a browser say that the form is of the same site.",
        )
