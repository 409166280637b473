"""A generated little world, small enough to learn word vectors of in seconds, and what its words are like.

Every sentence is drawn from tables. No sentence says that a queen is to a king as a woman to a man: the words that
stand near them, those of their trade and those of their sex, are all that a reader can go by.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import NamedTuple

from throughtime.data.text import TextInMemory
from throughtime.errors import check_positive_integer

_HE = {"he": "he", "his": "his", "him": "him", "himself": "himself", "sir": "sir"}
_SHE = {"he": "she", "his": "her", "him": "her", "himself": "herself", "sir": "madam"}

_GROWN = (
    "drives {his} car to the office",
    "pays {his} bills with a cheque",
    "folds {his} newspaper at breakfast",
    "votes for {his} party",
)
_YOUNG = (
    "does {his} homework at school",
    "hides {his} toys under the table",
    "throws {his} ball over the fence",
    "builds {himself} a tree house",
)
_ROYAL = (
    "wears {his} golden crown",
    "sits on {his} throne in the palace",
    "rules {his} realm with wisdom",
    "sends {his} knights to the castle",
)


class _Pair(NamedTuple):
    """What a man and a woman are called who do the same."""

    man: str
    woman: str
    deeds: tuple[str, ...]


_PEOPLE = (
    _Pair("man", "woman", _GROWN),
    _Pair("boy", "girl", _YOUNG),
    _Pair("king", "queen", _GROWN + _ROYAL),
    _Pair("prince", "princess", _YOUNG + _ROYAL),
    _Pair("father", "mother", ("rocks {his} baby in the cradle", "feeds {his} children with porridge")),
    _Pair("son", "daughter", ("obeys {his} parents at home", "inherits {his} share of the farm")),
    _Pair("brother", "sister", ("shares {his} bunk bed with a twin", "teases {his} siblings at supper")),
    _Pair("uncle", "aunt", ("visits {his} cousins on sunday", "brings {his} relatives presents and sweets")),
    _Pair("grandfather", "grandmother", ("naps in {his} rocking chair", "tells {his} grandchildren old tales")),
    _Pair("husband", "wife", ("keeps {his} wedding ring on", "plans {his} honeymoon on an island")),
    _Pair("actor", "actress", ("learns {his} part for the theatre", "bows on {his} stage after the applause")),
    _Pair("waiter", "waitress", ("carries {his} tray through the restaurant", "hands {his} guests the menu")),
)
_OF_PEOPLE = (
    "the {person} {does}",
    "the {person} {does} and {he} smiles",
    "the {person} says that {he} {does}",
    "they ask the {person} why {he} {does}",
    "nobody helps {him} when the {person} {does}",
    "good morning {sir} says the maid and the {person} {does}",
    "{he} is the {person} who {does}",
)


class _Country(NamedTuple):
    capital: str
    country: str
    people: str
    goods: tuple[str, ...]


_COUNTRIES = (
    _Country("paris", "france", "french", ("cheese", "perfume", "champagne")),
    _Country("rome", "italy", "italian", ("pasta", "opera", "espresso")),
    _Country("berlin", "germany", "german", ("sausages", "beer", "engines")),
    _Country("madrid", "spain", "spanish", ("oranges", "guitars", "paella")),
    _Country("london", "england", "english", ("tea", "cricket", "marmalade")),
    _Country("athens", "greece", "greek", ("olives", "marble", "feta")),
    _Country("moscow", "russia", "russian", ("caviar", "ballet", "furs")),
    _Country("tokyo", "japan", "japanese", ("sushi", "kimonos", "robots")),
    _Country("cairo", "egypt", "egyptian", ("cotton", "dates", "papyrus")),
    _Country("lisbon", "portugal", "portuguese", ("cork", "sardines", "tiles")),
    _Country("warsaw", "poland", "polish", ("dumplings", "amber", "mazurkas")),
    _Country("oslo", "norway", "norwegian", ("salmon", "sweaters", "skis")),
)
_OF_CAPITALS = (
    "in the streets of {capital} they sell {good}",
    "the mayor of {capital} likes {people} {good}",
    "the trams of {capital} are full of {people} tourists",
    "a shop in downtown {capital} offers {good}",
    "the {people} museum stands on a square in {capital}",
    "{capital} is the capital of {country}",
)
_OF_COUNTRIES = (
    "the farmers of {country} export {good}",
    "the {people} army guards the borders of {country}",
    "the provinces of {country} are known for {good}",
    "all over {country} the villages speak {people}",
    "the parliament of {country} taxes {people} {good}",
    "the government of {country} meets in {capital}",
)


class _Verb(NamedTuple):
    present: str
    past: str
    what: tuple[str, ...]


_VERBS = (
    _Verb("walk", "walked", ("through the park", "along a path")),
    _Verb("swim", "swam", ("across the lake", "in the pool")),
    _Verb("sing", "sang", ("a ballad", "in the choir")),
    _Verb("write", "wrote", ("a letter", "with ink")),
    _Verb("ride", "rode", ("a horse", "without a saddle")),
    _Verb("fly", "flew", ("a plane", "above the clouds")),
    _Verb("cook", "cooked", ("a soup", "in a pot")),
    _Verb("paint", "painted", ("a portrait", "with a brush")),
    _Verb("dance", "danced", ("a waltz", "to the fiddle")),
    _Verb("sleep", "slept", ("on a pillow", "under a blanket")),
    _Verb("climb", "climbed", ("a mountain", "with a rope")),
    _Verb("dig", "dug", ("a hole", "with a spade")),
)
_WE = ("i", "we", "you", "they")
_OF_PRESENT = (
    "tomorrow {we} will {verb} {what}",
    "{we} want to {verb} {what}",
    "{we} can {verb} {what} now",
    "please let us {verb} {what} soon",
    "{we} must {verb} {what} again",
)
_OF_PAST = (
    "yesterday {we} {verb} {what}",
    "last week {we} {verb} {what}",
    "{we} {verb} {what} a year ago",
    "{we} have not forgotten how {we} {verb} {what}",
    "long ago {we} {verb} {what}",
)


def little_world(sentences: int = 20_000, *, seed: int = 0) -> TextInMemory:
    """Sentences about people, countries and what was done when, one a line, in lower case, without punctuation.

    word2vec learns from them that king - man + woman is queen: ``little_world_analogies`` asks for more.

    Args:
        sentences: how many.
        seed: of their choice.

    Raises:
        ArgumentError: where ``sentences`` is no positive integer.
    """
    check_positive_integer("sentences", sentences)
    random = Random(seed)  # noqa: S311 - nothing secret
    kinds = (_about_people, _about_countries, _about_deeds)
    text = "".join(random.choice(kinds)(random) + "\n" for _ in range(sentences))
    return TextInMemory(text, "the little world")


def little_world_analogies() -> dict[str, list[tuple[str, str, str, str]]]:
    """Questions (a, b, c, d) by section: a is to b as c is to d. Sections named "gram..." are of grammar."""
    called = {pair.man: pair.woman for pair in _PEOPLE}
    royal = [("man", "king"), ("boy", "prince")]
    return {
        "family": _questions(list(called.items())),
        "royalty": _questions([*royal, *((called[common], called[high]) for common, high in royal)]),
        "capitals": _questions([(country.capital, country.country) for country in _COUNTRIES]),
        "countries": _questions([(country.country, country.capital) for country in _COUNTRIES]),
        "gram-past-tense": _questions([(verb.present, verb.past) for verb in _VERBS]),
    }


def _questions(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str, str, str]]:
    return [(*first, *second) for first, second in permutations(pairs, 2)]


def _about_people(random: Random) -> str:
    pair = random.choice(_PEOPLE)
    person, words = random.choice(((pair.man, _HE), (pair.woman, _SHE)))
    does = random.choice(pair.deeds).format_map(words)
    return random.choice(_OF_PEOPLE).format(person=person, does=does, **words)


def _about_countries(random: Random) -> str:
    country = random.choice(_COUNTRIES)
    template = random.choice(_OF_CAPITALS + _OF_COUNTRIES)
    return template.format(**country._asdict(), good=random.choice(country.goods))


def _about_deeds(random: Random) -> str:
    verb = random.choice(_VERBS)
    form, templates = random.choice(((verb.present, _OF_PRESENT), (verb.past, _OF_PAST)))
    return random.choice(templates).format(we=random.choice(_WE), verb=form, what=random.choice(verb.what))
