"""Text: windows, splits, what is no text, and the n-gram model."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from tinyres import data

SENTENCE = "the cat sat on the mat; the dog did not. "


def written(folder, content, name="own.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def spoken(part, row):
    return "".join(part.class_names[i] for i in part.inputs[row])


@pytest.mark.parametrize("context", [1, 3, 8])
def test_windows_and_their_targets(tmp_path, context):
    whole = SENTENCE * 5
    train, test = data.text(written(tmp_path, whole), context=context)
    held = round(len(whole) * 0.1)
    assert train.class_names == test.class_names == tuple(sorted(set(whole)))
    assert train.classes == len(set(whole))
    step = max(1, context // 4)
    for row in range(len(train)):
        assert spoken(train, row) == whole[row * step : row * step + context]
        np.testing.assert_array_equal(train.inputs[row, 1:], train.targets[row, :-1])
    assert train.inputs.dtype == train.targets.dtype == "int64"
    tail = "".join(test.class_names[i] for i in test.targets.ravel())
    assert whole[-held:].startswith(tail)  # each character once
    assert held - len(tail) < context
    assert spoken(test, 0) == whole[len(whole) - held - 1 :][:context]
    used = "".join(train.class_names[i] for i in data.text_of(train))
    assert whole[: len(whole) - held].startswith(used)
    assert len(whole) - held - len(used) < step
    assert "".join(test.class_names[i] for i in data.text_of(test)) == whole[-held - 1 :][: len(tail) + 1]


@pytest.mark.parametrize("content", ["a\r\nb" * 20, "\ufeff" + "a\nb" * 20])
def test_line_ends_and_marks_of_windows(tmp_path, content):
    train, _ = data.text(written(tmp_path, content), context=4)
    assert train.class_names == ("\n", "a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "own.txt is empty; with a context of 64, a text needs at least 129"),
        (b"x", "has only 1 character; with a context of 64"),
        (b"ab" * 64, "has only 128 characters; with a context of 64, a text needs at least 129"),
        (b"x" * 500, "repeats one character, 'x', so there is nothing to predict"),
        (b"good " * 40 + b"\xff\xfe", "is not text in UTF-8: byte 200 is 0xff; convert it first"),
        (b"ELF\0" * 100, "is not text: character 3 is NUL, as in a binary file"),
    ],
    ids=["empty", "one character", "short", "one repeated", "latin", "binary"],
)
def test_what_is_no_text_is_said_in_a_sentence(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.text(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_the_shortest_text_and_the_longest(tmp_path, monkeypatch):
    path = written(tmp_path, "ab" * 64 + "c")
    train, test = data.text(path)
    assert (len(train), len(test)) == (1, 1)
    monkeypatch.setitem(data.text.__globals__, "MOST", 128)
    with pytest.raises(ValueError, match="has 129 bytes, and a text may have 128: cut it"):
        data.text(path)


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        data.text("nothing.txt")
    with pytest.raises(ValueError, match="is a folder; a text is a single file"):
        data.text(str(tmp_path))
    with pytest.raises(ValueError, match=r"no text called 'nothing\.txt'; give the path of a file, or one of topics"):
        data.named_text("text:nothing.txt")
    with pytest.raises(ValueError, match="strictly between 0 and 1, got 64 and 1"):
        data.text("topics", test_fraction=1)


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, SENTENCE * 9)
    assert data.named_text("text") == data.named_text("text:topics") == "text:topics"
    assert data.named_text("text:own.txt") == f"text:{tmp_path / 'own.txt'}"
    assert [data.is_text(n) for n in ("text", "text:x", "texts", "digits")] == [True, True, False, False]
    loaded = data.load("text:own.txt", context=5).train
    assert loaded.inputs.shape[1] == 5
    assert loaded.fingerprint == data.text("own.txt").train.fingerprint
    written(tmp_path, SENTENCE * 9 + "!")
    assert loaded.fingerprint != data.text("own.txt").train.fingerprint


@pytest.mark.parametrize(("name", "least"), [("topics", 3e5), ("source", 2e6)])
def test_the_texts_that_come_with_python(name, least):
    train, test = data.text(name)
    assert len(data.text_of(train)) + len(data.text_of(test)) > least
    assert 80 < train.classes < 400
    assert "def " in "".join(train.class_names[i] for i in data.text_of(test))


# -- the n-gram model -----------------------------------------------------------------------------------------------
def by_hand(text, order):
    """P(w | h) of interpolated Kneser-Ney smoothing, from dictionaries."""
    symbols = sorted(set(text))
    counts = {order: Counter(text[i : i + order] for i in range(len(text) - order + 1))}
    for k in range(order - 1, 0, -1):
        counts[k] = Counter(gram[1:] for gram in counts[k + 1])
    after = {k: defaultdict(dict) for k in counts}
    for k, grams in counts.items():
        for gram, n in grams.items():
            after[k][gram[:-1]][gram[-1]] = n

    def probability(w, h):
        p = 1 / len(symbols)
        for k in range(1, order + 1):
            seen = after[k].get(h[len(h) - k + 1 :], {})
            n1, n2 = (sum(n == m for n in counts[k].values()) for m in (1, 2))
            d = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
            if seen:
                total = sum(seen.values())
                p = max(seen.get(w, 0) - d, 0) / total + d * len(seen) / total * p
        return p

    return symbols, probability


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_kneser_ney_by_hand(order):
    text, test = SENTENCE * 3 + "a cat; a dog; not the mat", "the dog sat on a cat"
    symbols, probability = by_hand(text, order)
    codes = lambda s: np.array([symbols.index(c) for c in s])
    model = data.KneserNey(codes(text), len(symbols), order)
    want = [-math.log(probability(test[i], test[i - order + 1 : i])) for i in range(order - 1, len(test))]
    np.testing.assert_allclose(model.nats(codes(test)), want, rtol=1e-12)
    for context in ("the ", "t. t", "zzzz", " cat"):  # known and new ones: shares of all symbols sum to 1
        h = context[len(context) - order + 1 :] if order > 1 else ""
        known = [c if c in symbols else symbols[0] for c in h]
        each = [model.nats(codes([*known, w]))[0] for w in symbols]
        assert math.fsum(math.exp(-n) for n in each) == pytest.approx(1, abs=1e-12)


def test_a_longer_context_helps_on_a_text():
    train, test = data.text("topics")
    nats = [data.KneserNey(data.text_of(train), train.classes, n).nats(data.text_of(test)).mean() for n in (1, 2, 3, 5)]
    assert nats == sorted(nats, reverse=True)
    assert 0.8 < nats[-1] < 1.6


def test_what_kneser_ney_cannot_do():
    with pytest.raises(ValueError, match="order 5 needs at least 5 symbols, got 3"):
        data.KneserNey(np.zeros(3, int), 2)
    with pytest.raises(ValueError, match="10000 symbols in order 5 have too many sequences"):
        data.KneserNey(np.arange(9), 10_000)
    assert len(data.KneserNey(np.zeros(9, int), 2).nats(np.zeros(3, int))) == 0
