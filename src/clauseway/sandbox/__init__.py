"""Sandbox: simulated clouds in their real wire formats, replayed traffic, and the business clock of
the replay.

Seven *fake clouds* stand for the APIs of six real ones. Each is a function from a received
request to an answer: it checks that cloud's real authentication (SigV4 is recomputed with botocore,
Oracle's request signature and the tokens of Entra and Google are verified with their public keys,
and the token endpoints are there too), answers in that cloud's shapes, and refuses in that cloud's
words. Behind them all stands one model server. Its answers depend on the request alone. What it
keeps between requests belongs to an account, and every cloud has an account of its own.

    server      sockets toward clients, one port per cloud; counts what a cloud saw
    clouds      the fake clouds, and the model server behind them
    surfaces    the endpoints of the model server
    signatures  how each cloud's authentication is verified, and the credentials that it takes
    traffic     a real trace, the requests planned from it, their replay, and the business clock
    faults      misbehaviour that a caller orders from a cloud
    wire        received requests and answers, as plain values
    zstandard   Zstandard frames of raw blocks, which need no compressor

Only `server` and the replay in `traffic` use sockets and the machine's clock.

Must not know: the gateway and how it maps these formats. The fake clouds judge the gateway from
outside, so they share no code with it: what a fake cloud expects comes from the vendors' own SDKs,
descriptions and recorded answers.
"""
