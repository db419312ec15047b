"""Bytes in and out of the process: sockets, TLS and deadlines.

    listener     where clients come in; listening: ports that are taken at once or not at all
    upstream     one connection to a cloud, and the pool of idle ones; upstream_endpoints: one per
                 address; connecting: names looked up, addresses attempted
    header_actions  what is done with a header, by its name as it is spelled
    called_addresses  the judge of addresses that an operator writes; metadata_addresses: those
                 that are never called
    tls          certificates, read again as they change
    timers       one lazy wheel for all deadlines
    siblings     questions to the other workers at the port
    home_socket  questions to the process that runs the gateway, and how sockets are asked

Knows no keys, no routes and no meaning of any body.
"""
