"""Reports on a home: statements, packs, their verification, forecasts, reconciliations. Some seal
first what its gateways have written; they change nothing else.

    statements         a statement as people read it; amounts: its amounts
    settled_statement  the statement of a settled month; statement_formats: how it is handed over
    tracing            all that is behind a statement's line
    verifying          a statement repeated from what it was made from
    handed_statements  statements as somebody hands them over
    signing            statements signed, countersigned and disputed
    packing            a statement in one file, with all it takes to repeat it; pack_layout: the
                       ZIP around its parts
    reconciling        a cloud's bill held against the meter
    reconciliation_text  a reconciliation in words and rows
    one_request        a request as journal and lake know it
    what_if            a month under other terms, readings or figures
    rehearsing         traffic and months as if a draft amendment had been in effect
    spend              what a day has cost so far, estimated
    forecasting        what is ahead
    for_programs       prices, usage, statements and changes for programs
"""
