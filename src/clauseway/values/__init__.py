"""Values: money, numbers, names, days and the two clocks, citations, problems. The room every other
room may use.

    money      exact amounts with a currency, one named rounding, a home for the remainder
    days       days and half-open intervals of them
    clocks     the day whose rules are asked for, and the point of knowledge
    numbers    the one reader of numbers that people and files write; a count with its noun
    name_rule  the one rule for names that come from outside, and for reasons
    citations  the clause of a statement, its file and line, and its source
    problems   problems of somebody's input, as data
    json_documents  what is refused of JSON that somebody else wrote
    version    the version of this program

Knows nothing of agreements, clouds or requests. Everything here is frozen and valid once built.
"""

from clauseway.values.citations import Citation
from clauseway.values.clocks import (
    DAY_NS,
    EPOCH_HOUR,
    FIRST_DAY,
    HOUR_NS,
    HOURS_OF_WEEK,
    LAST_DAY,
    KnownAt,
    day_of,
    instant_ns,
    start_of_day_ns,
)
from clauseway.values.days import (
    DAY_BEFORE_FOREVER,
    FOREVER,
    Interval,
    day_after,
    parse_day,
    through,
)
from clauseway.values.json_documents import (
    LEVELS_MAX,
    check_depth,
    check_names_once,
    elements_beyond,
    nests_beyond,
)
from clauseway.values.money import (
    CENT,
    USD,
    allocate,
    amount_text,
    exact_product,
    exact_sum,
    is_currency,
    last_digit,
    round_half_even,
    round_together,
    smallest_unit,
    unit_of,
    unreal_amount,
)
from clauseway.values.name_rule import (
    NAME_CHARACTERS_MAX,
    by_beginning,
    check_known,
    check_names,
    checked_reason,
    flaw_of_name,
    listed_names,
    nearest_name,
    problem_of_name,
    problem_of_reason,
    read_pairs,
    suggestion,
)
from clauseway.values.numbers import (
    NUMBER_BELOW,
    PLACES_MAX,
    BadNumber,
    counted,
    read_decimal,
    read_percentage,
    read_place,
    read_whole,
)
from clauseway.values.problems import (
    NOT_JSON,
    Damaged,
    InvalidInput,
    Problem,
    cause_of,
    listen_problem,
    refuse_any,
)
from clauseway.values.version import VERSION

__all__ = [
    "CENT",
    "DAY_BEFORE_FOREVER",
    "DAY_NS",
    "EPOCH_HOUR",
    "FIRST_DAY",
    "FOREVER",
    "HOURS_OF_WEEK",
    "HOUR_NS",
    "LAST_DAY",
    "LEVELS_MAX",
    "NAME_CHARACTERS_MAX",
    "NOT_JSON",
    "NUMBER_BELOW",
    "PLACES_MAX",
    "USD",
    "VERSION",
    "BadNumber",
    "Citation",
    "Damaged",
    "Interval",
    "InvalidInput",
    "KnownAt",
    "Problem",
    "allocate",
    "amount_text",
    "by_beginning",
    "cause_of",
    "check_depth",
    "check_known",
    "check_names",
    "check_names_once",
    "checked_reason",
    "counted",
    "day_after",
    "day_of",
    "elements_beyond",
    "exact_product",
    "exact_sum",
    "flaw_of_name",
    "instant_ns",
    "is_currency",
    "last_digit",
    "listed_names",
    "listen_problem",
    "nearest_name",
    "nests_beyond",
    "parse_day",
    "problem_of_name",
    "problem_of_reason",
    "read_decimal",
    "read_pairs",
    "read_percentage",
    "read_place",
    "read_whole",
    "refuse_any",
    "round_half_even",
    "round_together",
    "smallest_unit",
    "start_of_day_ns",
    "suggestion",
    "through",
    "unit_of",
    "unreal_amount",
]
