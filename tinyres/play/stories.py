"""Stories: known results, each a setting, a question to guess at, and the answer. Every answer is held in a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Story:
    """A preset that asks before it shows.

    Attributes:
        name, title: the key, and what stands in the list.
        text: two sentences.
        source, url: where the result comes from.
        lab, setting: what runs; only the knobs that are not at their defaults.
        question: what to guess; with `choices` by a button, else on a logarithmic slider from `low` to `high`.
        answer, value: the answer in words, and on the slider or as a button's value.
        look: the panel in which it is seen.
    """

    name: str
    title: str
    text: str
    source: str
    url: str
    lab: str
    setting: dict[str, Any]
    question: str
    answer: str
    value: float | str
    look: str
    choices: tuple[tuple[str, str], ...] = ()
    low: float = 1e-9
    high: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        guess: dict[str, Any] = {"question": self.question, "kind": "buttons" if self.choices else "slider"}
        if self.choices:
            guess["choices"] = [{"value": value, "label": label} for value, label in self.choices]
        else:
            guess |= {"min": self.low, "max": self.high, "scale": "log"}
        return {
            "name": self.name, "title": self.title, "text": self.text, "source": self.source, "url": self.url,
            "lab": self.lab, "setting": self.setting, "guess": guess,
            "answer": {"text": self.answer, "value": self.value}, "look": self.look,
        }  # fmt: skip


STORIES: dict[str, Story] = {}
