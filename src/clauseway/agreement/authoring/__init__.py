"""Help for those who write an agreement: a schema for editors, and one layout of the blocks.

json_schema  the JSON Schema of the YAML blocks, made from the records
formatting   the one layout of the blocks; prose and comments stay as they are
"""
