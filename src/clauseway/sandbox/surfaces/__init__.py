"""The endpoints of the model server, in OpenAI's format but for `messages`, which is Anthropic's.
Each cloud gives those that it has.

    chat           chat completions; stored_chats: those that an account keeps
    responses      the Responses API; conversations: what responses go on from
    messages       Anthropic's Messages format
    completions    prompts continued, the format from before chat
    embeddings     vectors drawn from the text
    images, audio  blank pictures; silence, and words for any sound
    moderations    harmless, but for one word
    files          uploads kept by the account; batches: a file of requests answered
    account        the models of an account, and what it keeps between requests
    generation     how long an answer is, and its words; fitting: JSON that fits a schema
    parameters     a request's parameters, with refusals; multipart: its forms
    aws_frames     a stream in AWS's binary frames
"""
