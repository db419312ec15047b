"""One request's life: eligible → attempted → committed → durable → answered.

    connection  one connection of a client; incoming: a request as it comes
    router      from a request that has arrived to an exchange, or to an answer that needs no cloud
    exchange    one request from its route to its last byte; stateful: about what stays at a cloud
    attempt     one call of one deployment, from its intent to its usage record; failures: what a refusal means
    uploads     a batch's file: its lines decided before it goes anywhere, and what they may cost
    issued      which deployment made what, for whom, in a file; lists: what a project made on several accounts
    pending     asks for what nobody comes back for; holds: what stays reserved until then
    explanations  why the latest requests went where they went; refusals: where no cloud was asked
    shared      what all connections of a process share; counters: what became of requests, in figures

INVARIANT: no target is attempted twice in one request. INVARIANT: the last byte of an answer leaves after the usage
record of each of its attempts is durable. INVARIANT: an answer that broke off never ends like a whole one.
INVARIANT: no charge is larger than what was reserved for it, as long as a cloud reports no more tokens than a request
can have.

Knows no signals, no plan files and no exporters.
"""
