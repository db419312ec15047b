"""Reports on a home: statements, packs, their verification, forecasts, reconciliations. Some first
seal the journals of its gateways; `signing` books a dispute. Nothing else changes a home.

    statements         a statement in words; amounts: its amounts as text
    settled_statement  the statement of a settled month; statement_formats: its file formats
    tracing            the evidence behind a statement's line
    verifying          a statement settled again from its stated inputs
    handed_statements  statements from outside
    equivocation       statements of one month that contradict each other
    signing            statements signed, countersigned and disputed
    packing            a statement with all inputs to repeat it, in one file; pack_layout: its ZIP
    reconciling        a cloud's bill compared with the meter
    reconciliation_text  a reconciliation in words and rows
    allocating         the costs of a month by team, from bills and the gateway's usage
    allocation_text    the same in rows
    one_request        a request from journal and lake
    what_if            a month under other terms, readings or figures
    rehearsing         traffic and months under a draft amendment
    spend              the estimated cost of a day so far
    forecasting        the forecast
    for_programs       prices, usage, statements and changes for programs
"""
