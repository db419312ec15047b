"""Answers of the gateway's own, which are no single cloud's answer passed on.

information     models, explanations of requests, health and readiness
message_models  models in the shape of Anthropic's clients
lists           what a project made on several accounts, as one list
uploads         a batch's file: its lines decided before it goes anywhere
deletions       a response whose usage is metered before it is deleted
cloud_answers   the gateway's own requests to a cloud, each answer read whole
looking_up      a request that names what another home may have issued
project_usage   a project's own usage; workers_requests: its latest requests, over all workers
"""
