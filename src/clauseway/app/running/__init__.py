"""Everything that runs: plans for the gateway, its processes and the pages', the doctor, the first
night (`clauseway up`).

    serving        a gateway and its pages, from start to stop
    planning       the agreement decided ahead, as the gateway's plan
    plan_inputs    what a plan is compiled from, and whether it has changed
    control_data   the control data, kept open for those who look again and again
    revocations    revoked keys, announced to gateways ahead of the plan
    gateways       one worker or several at a port; pages_process: the process of the pages
    readers        those who sign in to the pages
    processes      child processes that end with their parent
    upkeep         sealing, merging and checking while a home is served
    alerts         damage and losses, as pages and terminals show them
    machine_faults  the machine's own faults in words: of a full disk, of a database that is away
    frozen_database  a stop that waits for no database that is frozen
    following      keeping copies of gateways' journals
    project_usage  a project's own usage by day and model
    commitments    what is promised to clouds, and how spend counts toward it
    configuring    the configuration checked, and where each value comes from
    doctor         whether everything is there that a gateway needs
    snippets       lines to paste and try the gateway

    up          the night of the amendment, end to end
    simulation  the sandbox's clouds as a process; replaying: traffic sent through a gateway
"""
