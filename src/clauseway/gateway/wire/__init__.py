"""The formats that pass through: OpenAI's requests and answers, read no further than routing and
metering need.

    operations  everything that may be asked for, one table
    requests    what is read of bodies; capabilities: what a request needs; multipart: forms
    members     names that may stand once; splice: the only changes ever made to a client's body
    batch_files a batch's file, line by line
    answers     what is read of an answer; streams, typed_streams, sse: its events; made: what it made
    errors      what we answer when no cloud's answer is passed on

All pure: bytes in, bytes out. Knows no deployments, no keys and no sockets.
"""
