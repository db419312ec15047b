"""From documents to an `Agreement` and its facts, or to a list of every mistake in them.

agreement_reader  a folder's texts to an Agreement, by `definitions`, `amendments`, `sequence`
definitions       the definitions in `agreement.md`
amendments        one amendment, block by block
sequence          mistakes that only all documents together show
registers         registers of facts; recorded: a fact that somebody records
suppositions      facts that a question supposes
checks            a term or a change held against the definitions
exclusive         the exclusivity that `exclusive` and `sole` imply
blocks            an entry of YAML to a record, field by field
front             a document's front matter; knowledge: since when something is known
"""
