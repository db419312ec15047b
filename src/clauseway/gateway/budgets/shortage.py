"""Why a request may not go on for now: which limit or budget is used up, in words and figures."""

from typing import Literal, NamedTuple, Protocol

from clauseway.values import counted

_PICODOLLARS = 10**12


class Growing(Protocol):
    """A slice of a budget, or a share of a limit, of which more may be leased."""

    id: str


class Shortage(NamedTuple):
    """Why a request may not go on. Amounts are requests, tokens or picodollars, by `kind`.

    `limit` is the whole limit or budget, -1 where the lease server was not heard; `left` is how
    much of it is left, as far as this process knows. `retry_after_s` is how long to wait before
    another try, 0 where waiting does not help. `may_grow`: `Allowances.grow` may lease more.
    `growing` are the leases that were short, all of them; none where nothing is leased. They are
    those of the plan at which the request came: a later plan may have others of the same name, or
    none. `unread` is the amount that dead processes held, if the request would fit with it; it
    counts as spent until their journals are read. `revoking` is the amount that open requests
    reserve here, and that other processes held and had not spent, if the request would fit with it;
    they are to give back what they do not use.
    """

    kind: Literal["requests", "tokens", "budget"]
    whose: str
    limit: int
    left: int
    needed: int
    retry_after_s: float
    may_grow: bool
    id: str
    growing: tuple[Growing, ...] = ()
    unread: int = 0
    revoking: int = 0

    @property
    def is_unknown(self) -> bool:
        """Return whether it is not known now how much is left; the refusal then says nothing about
        the client's money."""
        return self.limit < 0 or self.unread > 0 or self.revoking > 0

    @property
    def message(self) -> str:
        """Return the reason in words, with figures."""
        # `unread` counts as spent until the journals of dead processes are read; then part of it
        # is free.
        if self.unread and self.limit >= 0:
            return (
                f"The budget of {self.whose} has {_usd(self.left)} left. Up to {_usd(self.unread)} more are free "
                "once the journal of a process that ended is read. Try again soon."
            )
        if self.revoking and self.limit >= 0:
            return (
                f"The budget of {self.whose} has {_usd(self.left)} left. Open requests hold up to "
                f"{_usd(self.revoking)} more, and give back what they do not use. Try again soon."
            )
        # The lease server was not heard: any figure would be a guess.
        if self.is_unknown:
            subject = "budget" if self.kind == "budget" else f"limit of {self.kind} a minute"
            return f"The {subject} of {self.whose} cannot be asked for more now."
        if self.kind == "budget":
            left_of = f"The budget of {_usd(self.limit)} of {self.whose} has {_usd(self.left)} left"
            return f"{left_of}; this request may cost up to {_usd(self.needed)}.{self._todo}"
        most = counted(self.limit, self.kind.removesuffix("s"))
        left_of = f"The limit of {most} a minute of {self.whose} has {self.left:,} left"
        if self.kind == "requests":
            return f"{left_of}.{self._todo}"
        return f"{left_of}; this request may take up to {self.needed:,}.{self._todo}"

    @property
    def _todo(self) -> str:
        """Return the sentence that says what helps."""
        if self.needed > self.limit >= 0:
            return " It never fits: ask for fewer output tokens, or have it raised."
        if not self.retry_after_s:
            return ""
        if self.kind == "budget":
            return f" A new period begins in {_long(self.retry_after_s)}."
        return f" Try again in {duration(self.retry_after_s)}."


def _usd(picodollars: int) -> str:
    whole, rest = divmod(abs(picodollars), _PICODOLLARS)
    digits = f"{rest:012d}".rstrip("0").ljust(2, "0")
    return f"{'-' if picodollars < 0 else ''}{whole:,}.{digits} USD"


def _long(seconds: float) -> str:
    """Return a duration as a person says it: in days, hours or minutes, rounded up."""
    for name, length in (("days", 86_400), ("hours", 3_600)):
        if seconds > 2 * length:
            return f"{-int(-seconds // length)} {name}"
    minutes = -int(-seconds // 60)
    return f"{minutes} minutes" if minutes > 1 else "a minute"


def duration(seconds: float) -> str:
    """Return a duration as OpenAI writes it: `12ms`, `59s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)}ms"
    minutes, rest = divmod(-int(-seconds // 1), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
