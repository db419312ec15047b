"""The journal for other programs.

beancount, hledger  the journal in the text of each of these programs
journal_formats     the list of these programs
journal_tables      the journal and the lines of statements as Arrow tables
accounting          which entries are exported, and under which account names, for all of them
"""
