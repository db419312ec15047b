"""What a check of an agreement finds by asking it: terms without effect, rights that are empty, that
fall, that nobody can give or that outlive what they rest on, and what is reserved to nobody.

`coming` supposes the events that are still to come, so that nothing is said that one of them makes
untrue.
"""
