"""The endpoints of the model server, in OpenAI's format, and `messages` in Anthropic's. Each cloud
serves some of them.

    chat           chat completions; stored_chats: those that an account keeps
    responses      the Responses API; conversations: that responses continue
    messages       Anthropic's Messages format
    completions    the format before chat, which continues a prompt
    embeddings     vectors drawn from the text
    images, audio  blank pictures; silence, and a text for any sound
    moderations    everything is harmless except one word
    files          uploads kept by the account; batches: a file of requests answered
    account        the models of an account, and what it keeps between requests
    generation     the length and the words of an answer; fitting: JSON that fits a schema
    parameters     a request's parameters, with refusals; multipart: its forms
    aws_frames     a stream in AWS's binary frames
"""
