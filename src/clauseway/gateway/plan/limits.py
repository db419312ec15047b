"""Every limit of the gateway, with its reason and its bounds.

The reasons are data, because whoever sets a limit reads them: `clauseway config show` prints them
beside the values.
"""

from typing import Annotated

import msgspec
from msgspec import Meta


def _within(low: float, high: float, reason: str) -> Meta:
    return Meta(ge=low, le=high, description=reason)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one gateway process. Bytes, seconds, counts."""

    # Checked when a read ends inside a head, so that the common request pays nothing: one read more
    # may get in.
    head_bytes: Annotated[
        int,
        _within(
            1 << 10,
            1 << 20,
            "A head is a few hundred bytes; cookies and tracing make it some thousands.",
        ),
    ] = 32 << 10
    body_bytes: Annotated[
        int,
        _within(
            1 << 10,
            1 << 30,
            "Large prompts with images in base64: the clouds take 20 to 50 MB. Held in memory until the cloud has it.",
        ),
    ] = 50 << 20
    answer_bytes: Annotated[
        int,
        _within(
            1 << 10,
            1 << 30,
            "A whole answer that is no stream is held until its usage is durable; the clouds' largest is a few MB.",
        ),
    ] = 64 << 20
    ahead_bytes: Annotated[
        int,
        _within(
            1 << 10,
            64 << 20,
            "Sent by a client while its last request is being answered; then reading from it stops.",
        ),
    ] = 256 << 10
    connections: Annotated[
        int,
        _within(
            1,
            1_000_000,
            "Each costs some 20 KB here and one or two descriptors; beyond this a second process is due.",
        ),
    ] = 10_000
    connections_per_address: Annotated[
        int,
        _within(
            1,
            1_000_000,
            "Half of all: no single address (of IPv6, no network of 64 bits) keeps all others out. "
            "Clients behind one load balancer have one address: give it all of them.",
        ),
    ] = 5_000
    connections_per_key: Annotated[
        int,
        _within(
            1,
            1_000_000,
            "A client that opens one for every request and closes none runs out by itself.",
        ),
    ] = 2_500
    bytes_in_flight: Annotated[
        int,
        _within(
            1 << 20,
            1 << 40,
            "Bodies, and answers that are gathered whole, are held in memory: this many bytes of all "
            "requests together, twice while one is sent on.",
        ),
    ] = 1 << 30
    bytes_in_flight_per_key: Annotated[
        int,
        _within(
            1 << 20, 1 << 40, "Ten bodies of the largest size; one key leaves room for others."
        ),
    ] = 512 << 20
    frames_per_key_per_second: Annotated[
        int,
        _within(
            1,
            10_000_000,
            "Frames over WebSockets. 2,500 sessions with a ping every 20 seconds send 125; however short, each costs "
            "some 35 microseconds, a message without sense 120: so many take a quarter of a core at most.",
        ),
    ] = 2_000
    head_s: Annotated[
        float, _within(0.05, 600, "A client that takes longer to send a head is broken or hostile.")
    ] = 15.0
    body_s: Annotated[
        float,
        _within(
            0.05,
            3600,
            "Between two reads of a body; 50 MB over a slow line still arrive as many reads.",
        ),
    ] = 30.0
    idle_s: Annotated[
        float,
        _within(
            0.05,
            3600,
            "Longer than the five seconds after which the common SDKs drop idle connections: theirs comes first.",
        ),
    ] = 75.0
    linger_s: Annotated[
        float,
        _within(
            0.05,
            60,
            "A refused client may still be sending its body; closing at once would destroy our answer on its way.",
        ),
    ] = 2.0
    connect_s: Annotated[
        float,
        _within(0.05, 120, "A cloud's front end answers a handshake within a second or is down."),
    ] = 5.0
    upstream_idle_s: Annotated[
        int,
        _within(
            1,
            3600,
            "Shorter than the idle limit of the clouds' load balancers (60 s and more): we close first.",
        ),
    ] = 30
    upstream_idle_connections: Annotated[
        int,
        _within(
            1,
            100_000,
            "Enough for the requests of a busy second to one cloud; more idle connections only age.",
        ),
    ] = 512
    retries: Annotated[
        int,
        _within(
            0,
            1_000_000,
            "Further attempts beyond a fifth of the requests, at most two thirds of them for "
            "one organisation; else an outage would multiply the load on what still answers.",
        ),
    ] = 50
    stale_s: Annotated[
        float,
        _within(
            0.0,
            10,
            "An idle connection that the cloud closed just as we wrote is lost within a round trip, and the request "
            "goes out once more on a fresh one. Later than that it may have been worked on, and the loss is a failure.",
        ),
    ] = 0.25
    stop_delay_s: Annotated[
        float,
        _within(
            0.0,
            600,
            "How long /readyz answers 503 after a stop was asked for, while requests are still taken: longer than load "
            "balancers need to see it. 0 closes the port at once.",
        ),
    ] = 0.0
    drain_s: Annotated[
        float,
        _within(
            0.0, 3600, "How long open requests may take to end once the port is closed for a stop."
        ),
    ] = 30.0
    journal_hold_s: Annotated[
        float,
        _within(
            0.0,
            3600,
            "While the usage journal's disk is full, requests wait for room until it was full for so long; "
            "then they are refused. 0 refuses them at once.",
        ),
    ] = 0.0
    database_away_s: Annotated[
        float,
        _within(
            5,
            31_536_000,
            "A home that does not reach its database server sees no revoked key: after so long its gateways refuse "
            "requests. After five minutes other homes may take it for gone, too.",
        ),
    ] = 300.0
    busy_polling_us: Annotated[
        int,
        _within(
            0,
            10_000,
            "With one open request the process looks for the next bytes for so long before it sleeps, if earlier looks "
            "found some. No processor has to wake up then: one request after another is answered a fifth sooner, for "
            "an eighth more CPU. 0 sleeps at once.",
        ),
    ] = 200
    pending_s: Annotated[
        float,
        _within(
            0.1,
            3600,
            "Responses in the background take seconds to hours; nobody waits for their usage.",
        ),
    ] = 15.0
