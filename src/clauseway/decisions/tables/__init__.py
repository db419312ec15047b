"""Decisions made ahead of time: every question of a finite domain, in classes of names that have
the same answer. A law holds the table equal to the engine.

    domain          every question that can be asked on one day; classes: names that are answered
                    alike
    decision_table  the table, and a right over time; stand_ins: stand-ins for callers that ask many
                    questions
"""
