"""Commands for metered usage: import it, keep it, hold it against bills. A module for each command,
by its name. And no command:

    accepted_loss     an accepted loss, as three commands print it
    usage_agreements  the agreements that judge usage
"""
