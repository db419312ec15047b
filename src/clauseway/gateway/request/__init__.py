"""One request's life: start → prepare → choose → attempt → answer → issue → finish → over.

The way of a request:

    selection       the candidates for a request
    lifecycle       one request, from its candidates to its last byte
    attempt         one call of one deployment, from its intent to its usage record
    passed_content  speech, and files too long to be held whole, on their way to the client
    failures        the meaning of a cloud's refusal; which say that a server lacks the path
    refusals        answers to requests for which no cloud was asked
    explanations    why a request went where it went; ended_attempts: which attempts of it failed
    latest_requests  the explanations of the latest requests

Resources that a cloud account keeps, such as stored responses, files and batches:

    resources       the resources that a request makes or names, and how such a request ends
    batch_contents  the requests in an uploaded file, and the most that they may cost
    resource_index  the deployment and the project of each resource
    resources_to_share  rows of that index that must still be copied to the shared database
    shared_index    the resources of all homes that share a database
    pending         asks clouds for pending resources that no client asks for
    holds           reservations of pending resources

State of the process:

    shared          state that all connections of a process share
    in_flight       connections and bytes that clients hold of this process
    counters        figures of how requests ended
    busy_polling    turns of the event loop that do not sleep, for a request that is alone

INVARIANT: no target is attempted twice in one request.
INVARIANT: the last byte of an answer leaves after the usage record of each of its attempts is
durable.
INVARIANT: an answer that broke off never ends like a whole one.
INVARIANT: no charge is larger than the amount reserved for it, as long as a cloud reports no more
tokens than a request can have.

Knows no signals, no plan files and no exporters.
"""
