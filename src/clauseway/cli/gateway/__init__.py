"""Commands that configure, run and examine a gateway: a module for each command, by its name. And
no command:

    drafted          a configuration that was written for somebody, told on a terminal
    replay_progress  a replay as it goes
"""
