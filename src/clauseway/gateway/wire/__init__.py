"""The formats that pass through, OpenAI's and Anthropic's: requests and answers, read no further
than routing and metering need.

    operations        everything that may be asked for, one table; not_offered: paths with a reason
    bodies            bodies of requests, and what is read of them
    splice            the only changes made to a client's body
    batch_files       a batch's file, line by line
    web_socket_turns  the messages of a WebSocket on `/v1/responses`
    whole_answers     what counts as an answer; stateful_resources: those that an answer says
                      were created
    event_streams     the kinds of event streams; streams, typed_streams, message_streams: each kind;
                      stream_chunks: what is decoded of a chat's
    sse               server-sent events as bytes, for all of them
    errors            what we answer when no cloud's answer is passed on; message_errors: to
                      Anthropic's clients; error_bodies: how clouds' own are read
    openapi           the gateway's paths as an OpenAPI document

All pure: bytes in, bytes out. Knows no deployments, no keys and no sockets.
"""
