"""Gateway: one request's life. Key, route, cloud, stream, usage; OpenAI's wire format in and out.

Everything that can be known ahead is compiled into look-ups when a plan is read; on a request's way nothing is decided,
parsed twice, or asked of a database. Protocol objects without I/O of their own sit on uvloop and httptools:

    client      one connection of a client: HTTP/1.1, keep-alive, pipelining, limits; incoming: a request as it comes
    front       from a request that has arrived to an exchange, or to an answer that needs no cloud
    operations  everything that may be asked for, one table; requests, multipart: what is read of bodies
    batch_files a batch's file, line by line; uploads: its lines decided before it goes anywhere, and what they may cost
    exchange    one request: eligible → attempted → committed → durable → answered; lasting: about what stays at a cloud
    attempt     one call of one deployment, from its intent to its usage record; failures: what a refusal means
    health      which deployments are ejected, waiting or probed; the retry budget; pure
    upstream    one connection to a cloud, and the pool of idle ones
    streams     chat's events: first content, usage, what the caller did not ask for; typed_streams: all others'; pure
    issued      which deployment made what, for whom, in a file; made: what answers say of it
    pending     asks for what nobody comes back for; holds: what stays reserved until then
    lists       what a project made on several accounts, as one list
    explanations  why the latest requests went where they went
    clouds/     one pure module per cloud: target → signed head; its usage → our units
    credentials/  where what is presented to a cloud comes from, kept fresh off a request's way
    members     names of members: those that are read stand once; pure
    splice      the only two changes ever made to a caller's body; pure
    capabilities  what a request needs, read from its values; strategies: in which order deployments are asked; pure
    quotas      what clouds let through and how quick they are; pure
    tariffs     what usage costs, whom, when and in which tier; rates: what it comes to; pure
    parts       a plan as its file holds it, read line by line; slices: long work on the loop, a little at a time
    tables      a plan compiled to look-ups; checks: what may be wrong with it; choices: what may be done with a model
    targets     a deployment ready to be called, its worst case and its charge
    keys, requests, sigv4, errors: as they say
    accounts    limits by the minute (windows) and slices of budgets (purses): what may be asked and spent; pure
    leases      what is asked of the lessor, and its socket
    timers      one lazy wheel for all deadlines; clock: business time; limits: every limit with its reason
    server      the process: sockets, signals, plan replacement, drain; settings: what an operator sets of it
    door        where clients come in; endpoints: where clouds are reached; tls: certificates, read again as they change
    tally       what became of requests, in figures; logs: events as lines; metrics, telemetry: loaded when asked for

INVARIANT: no target is attempted twice in one request. INVARIANT: the last byte of an answer leaves after the usage
record of each of its attempts is durable. INVARIANT: an answer that broke off never ends like a whole one.
INVARIANT: no process spends of a budget what it has not leased. INVARIANT: no charge is larger than what was reserved
for it, as long as a cloud reports no more tokens than a request can have.

Knows no agreement, no settlement, no database but its file of identifiers: routes are decided and refusals worded
before they come here.
"""
