"""Generated translations: numbers, prices, times and dates in figures, and the same in English words."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from throughtime.data.parallel_text import ParallelText
from throughtime.errors import check_positive_integer, check_range

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def sample_numbers(pairs: int = 20_000, *, seed: int = 0) -> ParallelText:
    """Numbers, prices, times and dates, each in figures and in words.

    >>> print(sample_numbers(1, seed=3).examples[0].target)
    six hundred seven euros and sixty nine cents

    Args:
        pairs: how many different ones, at most 100,000.
        seed: of their choice.

    Raises:
        ArgumentError: where ``pairs`` is no integer from 1 to 100,000.
    """
    check_positive_integer("pairs", pairs)
    check_range("pairs", pairs, high=100_000)
    random = Random(seed)  # noqa: S311 - nothing secret
    kinds: tuple[Callable[[Random], tuple[str, str]], ...] = (_number, _price, _time, _date, _date)
    drawn: dict[str, str] = {}
    while len(drawn) < pairs:
        source, target = random.choice(kinds)(random)
        drawn[source] = target
    return ParallelText.of(list(drawn), list(drawn.values()), "numbers and dates")


def number_words(number: int) -> str:
    """A number from 0 to 999,999 in words.

    >>> number_words(0), number_words(21), number_words(340_515)
    ('zero', 'twenty one', 'three hundred forty thousand five hundred fifteen')
    """
    if number >= 1000:
        rest = f" {number_words(number % 1000)}" if number % 1000 else ""
        return f"{number_words(number // 1000)} thousand{rest}"
    if number >= 100:
        rest = f" {number_words(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number >= 20:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    return _ONES[number]


def _ordinal(number: int) -> str:
    *before, last = number_words(number).split()
    if last in _ORDINALS:
        return " ".join([*before, _ORDINALS[last]])
    return " ".join([*before, last.removesuffix("y") + "ieth" if last.endswith("y") else last + "th"])


def _year(year: int) -> str:
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return number_words(year)
    if rest == 0:
        return f"{number_words(century)} hundred"
    return f"{number_words(century)} {'oh ' if rest < 10 else ''}{number_words(rest)}"


def _number(random: Random) -> tuple[str, str]:
    number = random.randrange(10 ** random.randint(2, 5))
    return f"{number:,}", number_words(number)


def _price(random: Random) -> tuple[str, str]:
    euros, cents = random.randrange(1, 1000), random.randrange(100)
    in_words = f"{number_words(euros)} euro{'s' if euros > 1 else ''}"
    return f"€{euros}.{cents:02d}", in_words + (
        f" and {number_words(cents)} cent{'s' if cents > 1 else ''}" if cents else ""
    )


def _time(random: Random) -> tuple[str, str]:
    hour, minute = random.randrange(1, 13), random.randrange(60)
    if minute == 0:
        return f"{hour}:00", f"{number_words(hour)} o'clock"
    named = {15: "a quarter", 30: "half", 45: "a quarter"}
    past = minute <= 30
    count = minute if past else 60 - minute
    amount = named.get(minute) or f"{number_words(count)} minute{'s' if count > 1 else ''}"
    return (
        f"{hour}:{minute:02d}",
        f"{amount} {'past' if past else 'to'} {number_words(hour if past else hour % 12 + 1)}",
    )


def _date(random: Random) -> tuple[str, str]:
    day, month, year = random.randrange(1, 29), random.randrange(12), random.randrange(1700, 2030)
    written = (f"{day} {_MONTHS[month]} {year}", f"{_MONTHS[month]} {day}, {year}", f"{year}-{month + 1:02d}-{day:02d}")
    return random.choice(written), f"the {_ordinal(day)} of {_MONTHS[month].lower()} {_year(year)}"
