"""The reference that the site makes of the commands: all of them, with all their options."""

from command_tree import commands
from docsite.commands import command_pages
from docsite.commands import commands as described


def test_every_command_that_can_be_run_is_described() -> None:
    assert {words for words, _ in commands()} <= {each.words for each in described() if each.command is not None}


def test_every_option_is_described() -> None:
    pages = "".join(command_pages().values())
    options = {name for _, command in commands() for parameter in command.params for name in parameter.opts}
    assert [name for name in options if name.startswith("--") and name not in pages] == []


def test_every_number_is_read_by_one_reader() -> None:
    """The parser's own would refuse one in words of its own, with the exit code of another outcome."""
    own = {
        f"{words} {parameter.opts[0]}"
        for words, command in commands()
        for parameter in command.params
        if parameter.type.name.startswith(("int", "float"))
    }
    assert own == set()
