"""Recorded traffic, made-up demand, and the clock that it is replayed by.

traffic_trace      when requests came in production, and how long prompts and answers were
traffic            the requests of the simulated week, planned from a trace
replay             planned requests sent as a client would, and what the client saw
replay_connection  the replay's connections to a gateway
clock              the business clock, which the replay writes and others read
demand             requests of another time, drawn from real tenants' demand by window
"""
