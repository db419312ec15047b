"""Routing: which deployments may serve a request, in which order, and what each may cost.

    opening         a plan's file, read and checked in steps; plan_checks: what may be wrong with it
    routing_tables  a plan compiled to look-ups: keys, stretches of time, models
    choices         what may be done with a model, and the candidates for one request
    targets         a deployment ready to be called, its worst case and its charge
    tariffs         what usage costs, whom, when and in which service tier; unit_rates: what it comes to
    strategies      in which order deployments are asked
    health          which deployments are ejected, waiting or probed
    quotas          what clouds let through, and how quick they are
    key_digests     the keyed hash by which a key is found

All pure: time is an argument. Knows no connections, no journal and no bodies.
"""
