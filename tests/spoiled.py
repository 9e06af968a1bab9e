"""Documents of other people: every value of a JSON document replaced by odd ones, and every entry left out."""

from itertools import islice

ODD = [None, True, 0, -1, 2**70, 0.5, 1e308, float("nan"), float("inf"), "", "x", [], {}, [1], [[1]], [{}], {"a": [1]}]


def spoiled(document, every=1):
    """Documents that differ from this one in one value, however deep it lies; lists are spoiled in their first entry.

    Each comes with the place of the change: ("recipe", "depth"). every: only one in so many of them.
    """
    yield from islice(_all(document), 0, None, every)


def _all(document):
    for key, inner in document.items():
        first = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(first, dict):
            for place, other in _all(first):
                yield (key, *place), document | {key: [other, *inner[1:]] if isinstance(inner, list) else other}
        for value in ODD:
            yield (key,), document | {key: value}
        yield (key,), {name: value for name, value in document.items() if name != key}


def outcome(call, refusal):
    """(what the call gives, "") or (None, the words of its refusal); any other exception is a fault."""
    try:
        return call(), ""
    except refusal as error:
        return None, str(error)


def harmless(place, document, whole):
    """Whether a change to a saved run's header makes no other run of it.

    It wrote a number otherwise (0 for 0.0); a field of the recipe is missing, as in an older file, and its default is
    what it was; there is no recipe, as of players made by hand; it tells of another machine, or of none; or a generator
    was spared that nothing draws from.
    """
    if document == whole or place[0] in ("generators", "machine") or place == ("recipe",):
        return True
    return place[0] == "recipe" and place[-1] not in document["recipe"]
