"""Connections of clients: bytes in, requests out to where they belong, answers back in their order.

connection      one connection: HTTP/1.1, one request at a time; incoming: a request as it comes
served_client   what a connection and a session share: the request under way, answers left unread
unread_answers  of a client that does not read: how long they may lie, and their bytes
web_socket      a session on `/v1/responses`, each message a request
router          from a request that has arrived to its lifecycle, or to an answer of the gateway's own
"""
