"""Commands for who buys: a module for each command, by its name. And no command:

tenancy  flags and tables that these commands share
"""
