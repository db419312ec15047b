"""Scripts that bring the tables of a control database from one version to the next, for Alembic.

versions  the scripts, in their order
env       how Alembic reaches the database
"""
