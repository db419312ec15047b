"""The one place that joins rooms: a module per use case, each with no rules of its own.

Reads files, databases and clocks, hands the core what it needs as arguments, and hands its answers
on: compiled plans to the gateway, typed contexts to the pages, records to the commands. Commands
load these modules one by one, so that asking one question does not import a database.

    running      plans for the gateway, processes, pages, the doctor, the first night
    screens      what each screen of the pages shows
    reports      statements, packs, verification, forecasts, reconciliations: they change no books
    agreements   questions asked, explained and proved; texts compared, briefed and exported
    books        what a home is settled on, months settled and closed, what follows from them; a
                 home as a whole: backed up, restored, moved, filled for a demonstration
    usage        journals and files sealed into the lake; the lake kept and checked; losses
    customers    organisations, keys, limits and budgets
    drafting     configurations written for somebody: from three answers, from LiteLLM's
    opening      a home, its agreements, facts, price books and configuration
"""
