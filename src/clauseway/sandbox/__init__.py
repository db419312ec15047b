"""Sandbox: simulated clouds in their real wire formats, the traffic that is replayed, and the clock it runs by.

Three *twins* (`openai_direct`, `azure_v1`, `bedrock_mantle`) stand for OpenAI's own API, Azure OpenAI and AWS Bedrock
mantle. Each is a pure function from a received request to an answer: it checks that cloud's real authentication (SigV4
is recomputed with botocore), answers in that cloud's shapes, and refuses in that cloud's words. What they share is
what the vendors share: OpenAI's chat format (`chat`) and the simulated model behind it (`generation`). `server` is the
one place with sockets; `faults` makes a cloud misbehave on demand.

`trace` reads a real trace of production traffic, `traffic` plans who asks what and when in business time, `replay`
sends it as a client would and reports what the client saw.

Must not know: the gateway and how it maps these formats. The twins are the gateway's outside judge, so nothing here is
shared with it; what a twin expects comes from the vendors' own SDKs and recorded answers.
"""
