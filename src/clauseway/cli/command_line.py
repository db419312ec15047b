"""The words of a command line, looked at before a command runs.

A flag of one value is given once: of two, all but the last would be ignored. Each value says
something: an empty one is mostly a variable of the shell that is not set, and would be taken for a
flag that was left out, which asks, grants or exports more. And each is read: what a command reads
in another of its uses alone is refused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clauseway.values import Problem, refuse_any


def checked(command: Any) -> Any:
    """Have every command of a tree refuse flags that are repeated, values that are empty, and flags
    of a group where one of its commands is named."""
    for below in getattr(command, "commands", {}).values():
        checked(below)
    make_parser = command.make_parser

    def make_checked(context: Any) -> Any:
        parser = make_parser(context)
        parse = parser.parse_args

        def parsed(args: list[str]) -> Any:
            values, rest, order = parse(args)
            # A shell that completes a line has only a part of it, and help answers whatever is given.
            if not context.resilient_parsing and not values.get("help"):
                _check(values, order)
                if rest and hasattr(command, "commands"):
                    _check_before(order, rest[0], is_command=rest[0] in command.commands)
            return values, rest, order

        parser.parse_args = parsed
        return parser

    command.make_parser = make_checked
    return command


def _check(values: Mapping[str, Any], order: Iterable[Any]) -> None:
    """Raise InvalidInput with every problem of the `values` that were given to parameters, which
    stand in `order` as often as they were given."""
    problems = [
        problem
        for parameter, number in Counter(order).items()
        for problem in _problems(parameter, number, values.get(parameter.name))
    ]
    refuse_any(problems)


def _check_before(order: Iterable[Any], below: str, *, is_command: bool) -> None:
    """Raise InvalidInput for each flag of a group that was given before the name of its command
    `below`: only the group alone reads such a flag, and the command ignores it. What is no command
    was meant as the value of a flag that takes none, or is refused as such later."""
    problems = [
        _stands_before(parameter, below) if is_command else _takes_no_value(parameter, below)
        for parameter in dict.fromkeys(order)
        if parameter.param_type_name == "option"
        and not parameter.is_eager
        and (is_command or parameter.is_flag)
    ]
    refuse_any(problems)


def _stands_before(parameter: Any, below: str) -> Problem:
    return Problem(
        what=f"it stands before {below}",
        why=f"{below} reads only the flags after it",
        where=parameter.opts[0],
        remedy=f"Write it after {below}, if {below} has it.",
    )


def _takes_no_value(parameter: Any, given: str) -> Problem:
    flag = parameter.opts[0]
    in_shell = " Run it in the shell that it is for." if flag.endswith("-completion") else ""
    return Problem(
        what=f"it takes no value, and {given} is no command",
        why=f"{given} would be ignored",
        where=flag,
        remedy=f"Leave {given} out.{in_shell}",
    )


def check_unread(context: Any, unread: Mapping[str, str], remedy: str = "Leave it out.") -> None:
    """Raise InvalidInput for each parameter that was given although this use of its command does
    not read it. `unread` says why, by its name."""
    problems = [
        Problem(what="it has no meaning here", why=why, where=_place(parameter), remedy=remedy)
        for parameter in context.command.params
        if (why := unread.get(parameter.name)) and _is_given(context, parameter.name)
    ]
    refuse_any(problems)


def argument_meant(context: Any, flag: str) -> Any:
    """Return the parameter that a command takes without a flag, where `flag` names it; else None."""
    name = flag.removeprefix("--").replace("-", "_")
    for parameter in context.command.params:
        if parameter.param_type_name == "argument" and name in _names_of(parameter):
            return parameter
    return None


def _names_of(parameter: Any) -> set[str]:
    """Return the names by which people may look for a flag of an argument. Where other commands have
    a flag for a month it is `--period`."""
    written = (parameter.metavar or "").lower().replace("[", " ").replace("]", " ")
    names = {parameter.name, *written.replace("|", " ").split()}
    return names | {"period"} if "month" in names else names


def _is_given(context: Any, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _place(parameter: Any) -> str:
    """Return how a problem names a parameter."""
    is_option = parameter.param_type_name == "option"
    return str(parameter.opts[0] if is_option else parameter.name.upper().rstrip("S"))


def _problems(parameter: Any, number: int, given: Any) -> Iterator[Problem]:
    if getattr(parameter, "is_flag", False):
        return
    is_option = parameter.param_type_name == "option"
    where = _place(parameter)
    if is_option and not parameter.multiple and number > 1:
        yield Problem(
            what=f"it is given {number} times",
            why="it takes one value, and all but the last would be ignored",
            where=where,
            remedy="Keep one of them.",
        )
    for value in [given] if isinstance(given, str) else given or ():
        if isinstance(value, str) and not value.strip():
            yield Problem(
                what=f"{value!r} is no value",
                why="it is empty; a variable of the shell may not be set",
                where=where,
                remedy="Write a value."
                if parameter.required
                else "Write a value, or leave it out.",
            )
