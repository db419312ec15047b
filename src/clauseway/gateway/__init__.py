"""Gateway: one request's life. Key, route, cloud, stream, usage; OpenAI's and Anthropic's wire
formats in and out.

Everything that can be known ahead is compiled into look-ups when a plan is read; on a request's way
nothing is decided, parsed twice, or asked of a database. Protocol objects without I/O of their own
sit on uvloop and httptools. Imports point from the top of this list down:

    process      sockets, signals, replacement of the plan, drain; lines, metrics and spans
    connections  clients' connections, and where each of their requests belongs
    answers      answers of the gateway's own: models, lists, health, a project's usage
    request      one request's life, from its route to its usage record
    routing      which deployments may serve it, in which order, at what price; a plan as look-ups
    wire         the formats that pass through, read no further than needed; pure
    budgets      what customers may still ask and spend: limits by the minute, slices of budgets
    transport    connections, TLS, deadlines
    credentials  where what is presented to a cloud comes from, kept fresh off a request's way
    clouds       one pure module per dialect: target → signed head; reported usage → our units
    plan         the file a gateway serves by, its settings, limits and clock

Its invariants stand in `request` and `budgets`.

Knows no agreement, no settlement, no database but its resource index: routes are decided and
refusals worded before they come here.
"""
