"""Every limit of the gateway, with its reason."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one gateway process. Bytes, seconds, counts."""

    # A head is a few hundred bytes; cookies and tracing make it some thousands. Checked when a read ends inside a head,
    # so that the common request pays nothing: one read more may get in.
    head_bytes: int = 32 << 10
    # Large prompts with images in base64: the clouds take 20 to 50 MB. Held in memory until the cloud has it.
    body_bytes: int = 50 << 20
    # A whole answer that is not a stream is held until its usage is durable; the clouds' largest is a few MB.
    answer_bytes: int = 64 << 20
    # Sent by a client while its last request is being answered; then reading from it stops.
    ahead_bytes: int = 256 << 10
    # Each connection costs some 20 KB here and one or two descriptors; beyond this a second process is due.
    connections: int = 10_000
    # A client that takes longer to send a head is broken or hostile.
    head_s: float = 15.0
    # Between two reads of a body; 50 MB over a slow line still arrive as many reads.
    body_s: float = 30.0
    # Longer than the five seconds after which the common SDKs drop idle connections, so that theirs comes first.
    idle_s: float = 75.0
    # A refused client may still be sending its body; closing at once would destroy our answer on its way.
    linger_s: float = 2.0
    # A cloud's front door answers a handshake within a second or is down.
    connect_s: float = 5.0
    # Shorter than the idle limit of the clouds' load balancers (60 s and more): we close first, not they.
    upstream_idle_s: int = 30
    # Enough for the requests of a busy second to one cloud; more idle connections only age.
    upstream_idle_connections: int = 512
    # An idle connection that the cloud closed just as we wrote is lost within a round trip. Later than that the
    # request may have been worked on, and the loss counts as an attempt.
    stale_s: float = 0.25
    # How long open requests may take to end after a stop was asked for.
    drain_s: float = 30.0
