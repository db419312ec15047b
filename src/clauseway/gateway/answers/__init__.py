"""Answers of the gateway's own, which are no single cloud's answer passed on.

information     models, explanations of requests, health and readiness
message_models  models in the shape of Anthropic's clients
lists           what a project made on several accounts, as one list
uploads         a batch's file: its lines decided before it goes anywhere
preparations    of a deletion whose response is metered first, and of a request that names what
                another home may have issued
cloud_answers   the gateway's own requests to a cloud, each answer read whole
project_usage   a project's own usage; workers_requests: its latest requests, over all workers
"""
