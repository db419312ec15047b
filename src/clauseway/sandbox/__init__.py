"""Sandbox: simulated clouds in their real wire formats, the traffic that is replayed, and the clock
it runs by.

Seven *fake clouds* stand for the front doors of six real ones: OpenAI's own API (`openai_direct`),
Anthropic's (`anthropic_direct`), an Azure resource (`azure_openai`), Bedrock's mantle and runtime
(`bedrock`), Vertex AI (`vertex`) and OCI Generative AI (`oracle`). Each is a function from a
received request to an answer: it checks that cloud's real authentication (SigV4 is recomputed with
botocore, Oracle's request signature and the tokens of Entra and Google are verified with their
public keys, and the tokens' endpoints are there too), answers in that cloud's shapes, and refuses
in that cloud's words. `credentials` holds what they take.

Behind them all stands one model server (`model_server`) with OpenAI's endpoints: `chat`,
`responses`, `embeddings`, `images`, `audio`, `moderations`, `files`, `batches`. What it answers is
drawn from the request alone (`generation`, `fitting`); what it keeps between requests belongs to
one `account`, and every cloud has its own.

`server` is the one place with sockets and the machine's clock; it counts what a cloud saw, and
`faults` makes a cloud misbehave on demand. `trace` reads a real trace of production traffic,
`traffic` plans who asks what and when in business time, `replay` sends it as a client would and
reports what the client saw.

Must not know: the gateway and how it maps these formats. The fake clouds are the gateway's outside
judge, so nothing here is shared with it; what a fake cloud expects comes from the vendors' own
SDKs, descriptions and recorded answers.
"""
