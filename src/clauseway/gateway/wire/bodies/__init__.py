"""Bodies of requests, read no further than routing and metering need.

    requests          what is read of each kind; message_requests: of Anthropic's
    body_contents     a body read once for all later steps
    decoding          JSON by type; multipart: forms
    needs             what a request needs of a deployment
    members           names that may stand once; member_names: as often as they stand
    identifiers       of resources, that bodies name; item_references: of items of earlier answers
    addresses         of stores that a cloud reads itself
    further_models    members that have a cloud turn to another model
    escapes           letters that are written as their numbers
    body_errors       why a body is refused

All pure: bytes in, values out.
"""
