"""Sandbox: simulated clouds in their real wire formats, the traffic that is replayed, and the clock
it runs by.

Seven *fake clouds* stand for the APIs of six real ones. Each is a function from a received
request to an answer: it checks that cloud's real authentication (SigV4 is recomputed with botocore,
Oracle's request signature and the tokens of Entra and Google are verified with their public keys,
and the tokens' endpoints are there too), answers in that cloud's shapes, and refuses in that
cloud's words. Behind them all stands one model server. Its answers are drawn from the request
alone; what it keeps between requests belongs to one account, and every cloud has its own.

    server      sockets toward clients, one port per cloud; counts what a cloud saw
    clouds      the fake clouds, and the model server behind them
    surfaces    the endpoints of the model server
    signatures  how each cloud's authentication is verified, and the credentials that it takes
    traffic     a real trace, the requests planned from it, their replay, and the business clock
    faults      misbehaviour of a cloud, on demand
    wire        received requests and answers, as plain values
    zstandard   compressed frames, without a compressor

Sockets and the machine's clock are in `server` and in the replay of `traffic` alone.

Must not know: the gateway and how it maps these formats. The fake clouds are the gateway's outside
judge, so nothing here is shared with it; what a fake cloud expects comes from the vendors' own
SDKs, descriptions and recorded answers.
"""
