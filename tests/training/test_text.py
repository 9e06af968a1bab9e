"""`tinyres train gpt` and `tinyres sample`: runs on text, resumed, recorded, refused; and what they write."""

import json
import re

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, training
from tinyres.cli import main
from tinyres.cli.train import USUAL
from tinyres.ops.losses import cross_entropy

pytestmark = pytest.mark.usefixtures("sketched")

LINES = "the cat sat on the mat; the dog did not.\n" * 12
SMALL = ("--depth", 1, "--width", 8, "--context", 8, "--batch-size", 16)


def run(capsys, *arguments):
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.txt").write_text(LINES, encoding="utf-8")
    return tmp_path


def test_a_run_from_a_file_to_a_sample(capsys, here):
    status, out, err = run(capsys, "train", "gpt", "--data", "text:own.txt", *SMALL, "--steps", 40, "--record", 10)
    assert (status, err) == (0, "")
    assert "own.txt: 492 characters, 16 different; the last 49 are the test set" in out
    said = float(re.search(r"to beat: a 5-gram model .* test loss of (\d\.\d{4})", out)[1])
    train, test = data.text("own.txt", context=8)
    model = data.KneserNey(data.text_of(train), 16)
    assert said == pytest.approx(model.nats(data.text_of(test)).mean(), abs=1e-4)
    folder = here / "train-results" / "gpt-own.txt"
    result = json.loads((folder / "result.json").read_text())
    assert result["recipe"]["optimizer"] == USUAL["gpt"]["optimizer"] == "adamw"
    assert result["recipe"]["lr"] == USUAL["gpt"]["lr"]
    assert result["steps"] == 40
    assert np.mean(result["train_loss"][-5:]) < np.mean(result["train_loss"][:5])
    assert json.loads((folder / "flow.json").read_text())["labels"]["block"] == ["blocks.0"]
    writing = ("sample", folder, "--prompt", "the ", "--length", 30)
    status, first, err = run(capsys, *writing)
    assert (status, err) == (0, "")
    assert re.fullmatch(r"the .{30}\n", first, re.DOTALL)
    assert set(first) <= set(LINES)
    assert run(capsys, *writing)[1] == first
    assert run(capsys, *writing, "--seed", 1)[1] != first
    assert run(capsys, *writing, "--temperature", 0)[1] == run(capsys, *writing, "--temperature", 0, "--seed", 1)[1]
    assert len(run(capsys, "sample", folder / "model.safetensors", "--length", 3)[1]) == 4


def test_a_run_goes_on_bit_for_bit(capsys, here):
    arguments = ("train", "gpt", "--data", "text:own.txt", *SMALL, "--steps", 9)
    assert run(capsys, *arguments, "--out", "whole")[0] == 0
    recipe = training.Recipe(**json.loads((here / "whole" / "result.json").read_text())["recipe"])
    made = training.prepare(recipe)
    for _ in zip(range(4), made.steps(), strict=False):
        pass
    (here / "cut").mkdir()
    training.save(made, here / "cut" / "run.safetensors")
    status, out, err = run(capsys, "train", "gpt", "--resume", "--out", "cut")
    assert (status, err) == (0, "")
    assert f"resuming from step {made.step} of 9: gpt on own.txt" in out
    one, other = (tr.load(here / name / "model.safetensors") for name in ("whole", "cut"))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    (here / "own.txt").write_text(LINES + "!", encoding="utf-8")
    status, _, err = run(capsys, "train", "gpt", "--resume", "--out", "cut")
    assert (status, "have changed since the run began" in err) == (2, True)


def test_the_loss_counts_every_character_once(here):
    made = training.prepare(training.Recipe("gpt", "text:own.txt", depth=1, width=8, context=8, steps=1))
    logits = made.model.eval()(made.test.inputs).detach().numpy()
    wanted = made.test.targets
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    each = -np.take_along_axis(logs, wanted[..., None], -1)
    score = made.score()
    assert score.loss == pytest.approx(each.mean(), rel=1e-5)
    assert score.accuracy == pytest.approx((logits.argmax(-1) == wanted).mean())
    x, target = next(iter(made.loader))
    flat = cross_entropy(made.model(x).reshape(-1, 16), target.reshape(-1)).item()
    assert made.loss(x, target).item() == pytest.approx(flat, rel=1e-6)


def test_initialisation_reaches_attention(here):
    recipe = {"arch": "gpt", "data": "text:own.txt", "depth": 1, "width": 64, "context": 8, "steps": 1}
    block = training.prepare(training.Recipe(**recipe, init="2.0")).model.blocks[0]
    for weight in (block.self_attn.in_proj_weight, block.linear1.weight):
        assert weight.numpy().var() == pytest.approx(2 / 64, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "gpt", "--data", "digits"), "gpt reads text, and digits are images; give the data text:FILE"),
        (("train", "resnet", "--data", "text:own.txt"), "resnet sorts images and cannot read text:.*own.txt; gpt can"),
        (("train", "gpt", "--data", "text:other.txt"), "--data: no text called 'other.txt'; give the path of a file"),
        (("train", "gpt", "--data", "text:empty.txt"), "empty.txt is empty; with a context of 64"),
        (("train", "gpt", "--data", "text:one.txt"), "one.txt has only 1 character; with"),
        (("train", "gpt", "--data", "text:binary"), "binary is not text in UTF-8: byte 0 is 0x89"),
        (("train", "gpt", "--data", "text:own.txt", "--context", 400), "only 492 characters; with a context of 400"),
        (("train", "gpt", "--data", "text:own.txt", "--context", 0), "context must be at least 1, got 0"),
        (("train", "gpt", "--data", "text:own.txt", "--activation", "tanh"), "contains no nn.ReLU"),
        (("gan", "train", "--data", "text:own.txt"), "no data set called 'text:own.txt'"),
        (("sample", "nowhere"), "nowhere: there is no such file; `tinyres train gpt` writes it"),
        (("sample", "other.safetensors"), "holds no model of text; `tinyres train gpt` writes one"),
        (("sample", "own.txt"), "own.txt"),
        (("sample", "gpt", "--prompt", "Straße"), "the text that the model learned from has no 'S', 'r', 'ß'"),
        (("sample", "gpt", "--length", -1), "--length -1: a number of characters is needed"),
        (("sample", "gpt", "--temperature", "nan"), "--temperature nan: a number of at least 0"),
        (("sample", "gpt", "--seed", -1), "--seed -1: must not be negative"),
    ],
    ids=lambda v: " ".join(map(str, v)) if isinstance(v, tuple) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(capsys, here, arguments, message):
    (here / "empty.txt").write_bytes(b"")
    (here / "one.txt").write_bytes(b"a")
    (here / "binary").write_bytes(b"\x89PNG" * 400)
    tr.save({"w": np.zeros(3, "f")}, here / "other.safetensors")
    if arguments[0] == "sample":
        made = training.prepare(training.Recipe("gpt", "text:own.txt", depth=1, width=4, context=8, steps=1))
        (here / "gpt").mkdir()
        about = {"settings": made.model.settings, "characters": made.test.class_names}
        tr.save(made.model, here / "gpt" / "model.safetensors", {"gpt": json.dumps(about)})
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert re.search(message, err)
    assert err.count("\n") == 1


def test_a_description_that_does_not_fit_its_weights(here):
    made = training.prepare(training.Recipe("gpt", "text:own.txt", depth=1, width=4, context=8, steps=1))
    settings, characters = made.model.settings, made.test.class_names
    for change, reason in (
        ({"layers": 10**9}, "too few weights for 1000000000 layers"), ({"width": 10**9}, "no weights of width"),
        ({"context": 10**9}, "no weights of width, symbols and context"), ({"streams": 10**9}, "too few weights"),
        ({"symbols": 3}, "16 characters for 3"),
        ({"unheard": 1}, "unexpected keyword"), ({"layers": "2"}, "too"),
        ({"heads": 3}, "heads share the width evenly"), ({"tied": False, "norm": "post"}, "load_state_dict"),
    ):  # fmt: skip
        about = {"settings": settings | change, "characters": characters}
        tr.save(made.model, here / "model.safetensors", {"gpt": json.dumps(about)})
        with pytest.raises(ValueError, match=rf"do not fit together \(.*{reason}") as caught:
            training.Writer(here)
        assert "\n" not in str(caught.value)
