"""One request's life: start → prepare → choose → attempt → answer → issue → finish → over.

    in_flight   what clients hold of this process: connections and bytes
    selection   the candidates for a request
    lifecycle   one request from its route to its last byte
    resources   the resources that a request makes or names, and how such a request ends
    attempt     one call of one deployment, from its intent to its usage record
    failures    the meaning of a cloud's refusal
    absent_paths   refusals of a server that does not have a path
    batch_contents  what a file's lines ask for, and what they may cost
    resource_index  on which deployment each stateful resource lies, and whose it is
    resources_to_share  its rows that are to be copied to where other homes find them
    shared_index  the resources of all homes that share a database
    pending     asks for what nobody comes back for; holds: what stays reserved until then
    explanations  why a request went where it went; latest_requests: those of the latest requests
    refusals    answers where no cloud was asked
    shared      what all connections of a process share; counters: how requests ended, in figures

INVARIANT: no target is attempted twice in one request. INVARIANT: the last byte of an answer leaves
after the usage record of each of its attempts is durable. INVARIANT: an answer that broke off never
ends like a whole one. INVARIANT: no charge is larger than what was reserved for it, as long as a
cloud reports no more tokens than a request can have.

Knows no signals, no plan files and no exporters.
"""
