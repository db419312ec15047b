"""A document taken apart: front matter, numbered sections, fenced blocks, YAML with its lines.

Nothing here knows the language of terms. Text that looks like a block and would not be read as one
is refused, and each mistake names its line.

    markdown       sections and blocks
    yaml_text      YAML to entries; yaml_in_doubt: where it may have a mistake
    entries        values with their lines
    unread         text that looks like a block and is not read as one
    mistakes       an author's mistakes, gathered in one list
"""
