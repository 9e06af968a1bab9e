"""Whoever breaks the contract is told so in one sentence, with the mend."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance import breach
from tinyres_kernels.conformance.adapt import Adapt

from tests.kernels.conformance import own

SENTENCES = {
    "returned": """It returns its result and leaves out untouched; its numbers are right on a plain case. To mend it,
        end it with out[...] = y.""",
    "returned_and_wrong": """It returns its result (of type ndarray) and leaves out untouched; what is returned is
        ignored, and is not right either. To mend it, end it with out[...] = y, and check again.""",
    "nothing": """It leaves out untouched and returns nothing: `out = y` gives a name to another array. To mend it, end
        it with out[...] = y.""",
    "channels_first": """It takes images as (N, C, H, W) and weights as (O, C/groups, KH, KW); its numbers are right on
        a plain case. To mend it, run the check with --layout nchw, or transpose.""",
    "channels_first_returned": """It takes images as (N, C, H, W) and weights as (O, C/groups, KH, KW) and returns its
        result and leaves out untouched; its numbers are right on a plain case. To mend it, run the check with --layout
        nchw, or transpose, and end it with out[...] = y.""",
    "three": """It takes (x, w, s), but it is called with 4 arguments, as (x, w, out, s): change its first line to
        `def three(x, w, out, s):`.""",
    "another_order": """It takes (w, x, out, s), but its arguments come in the order (x, w, out, s), whatever they are
        called: change its first line to that order.""",
    "settings_apart": """It takes (x, w, stride, padding), but it is called as (x, w, out, s): settings come in one
        object, as s.stride, s.padding. Change its first line to `def settings_apart(x, w, out, s):`.""",
    "writes": """It writes to its input w, in every case; its results are right. To mend it, work on a copy, as in
        w = w.copy().""",
    "raises": """It raises KeyError: 'no such thing' (line 58 of own.py: raise KeyError("no such thing")), in every
        case. Begin with the plain one, below.""",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_one_sentence_says_what_it_does_and_how_to_mend_it(name):
    report = conformance.check(getattr(own, name), "conv2d")
    sentence = " ".join(SENTENCES[name].split())
    assert report.breach == sentence
    assert not report.ok
    text = str(report)
    assert " ".join(text.split()).count(sentence) == 1
    assert "FAIL" not in text
    assert "named cases that fail" not in text
    assert not report.drawn
    assert not report.kinds


@pytest.mark.slow
def test_a_wrong_kernel_that_keeps_the_contract_is_not_accused():
    for kernel in (lambda x, w, out, s: out.fill(0), lambda *arguments: arguments[2].fill(0)):
        assert not conformance.check(kernel, "conv2d", examples=5).breach
    assert not conformance.check(own.right, "conv2d", examples=5).breach


def test_a_kernel_for_pytorch_is_recognised():
    torch = pytest.importorskip("torch")
    scope = {"torch": torch}
    exec("def kernel(x, w, out, s):\n return torch.nn.functional.conv2d(x, w, None, s.stride, s.padding)", scope)
    assert conformance.check(scope["kernel"], "conv2d").breach == (
        "It takes arrays of torch and takes images as (N, C, H, W) and weights as (O, C/groups, KH, KW); its numbers "
        "are right on a plain case. To mend it, run the check with --arrays torch --layout nchw."
    )


def test_other_operations_have_sentences_too():
    def average(x, out, s):
        return x.mean((1, 2))

    def norm(x, weight, bias, out):
        pass

    assert conformance.check(average, "avg_pool2d").breach.startswith(
        "It returns its result (of type ndarray) and leaves"
    )
    assert (
        "(x, weight, bias, residual, out, mean, variance, running, s)" in conformance.check(norm, "batch_norm").breach
    )
    assert "end it with out[...] = y; index[...] = y" in conformance.check(lambda *a: None, "max_pool2d").breach


def test_a_result_that_is_forgotten_is_named_alone():
    def losses_alone(x, target, out, probabilities):
        im2col.cross_entropy(x, target, out, np.empty_like(probabilities))

    def statistics_forgotten(x, weight, bias, residual, out, mean, variance, running, s):
        im2col.batch_norm(x, weight, bias, residual, out, mean, variance, None, s)

    assert conformance.check(losses_alone, "cross_entropy").breach == (
        "It leaves probabilities untouched; what else it writes is right. To mend it, fill it as well, as in "
        "probabilities[...] = y."
    )
    (kind,) = conformance.check(statistics_forgotten, "batch_norm", examples=0, dtypes=["float64"]).kinds
    assert kind.name == "training=True and running statistics: leaves new_mean, new_var and new_batches unwritten"


def test_no_sentence_has_an_empty_phrase_whatever_was_given_and_whatever_would_be_right():
    """All pairs that a search comes by: it tries what differs from what was given."""
    every = [Adapt(*one) for one in product(("nhwc", "nchw"), ("", "torch"), (False, True))]
    tried = set()

    def right_for(wanted):
        return lambda case, other: tried.add(other) or SimpleNamespace(ok=other == wanted)

    scope = {"torch": type(np)("torch")}
    exec("def kernel(x, w, out, s): pass", scope)
    plain = conformance.search.cases("conv2d", examples=0)[0]
    for how, wanted in product(every, every):
        sentence = breach._other_arrays(scope["kernel"], plain, right_for(wanted), how)
        if sentence:
            assert "It ;" not in sentence
            assert "mend it, ." not in sentence
            assert "  " not in sentence
            assert len(sentence.partition(";")[0].split()) > 3, sentence
    assert len(tried) > 4


def test_fewer_digits_than_asked_for_are_told_and_no_other_layout_is_blamed():
    def narrow(x, w, out, s):
        made = np.empty(out.shape, "float32")
        im2col.conv2d(x.astype("float32"), w.astype("float32"), made, s)
        return made

    report = conformance.check(narrow, "conv2d", examples=0, adapt=Adapt(returned=True))
    assert not report.breach
    (kind,) = report.kinds
    assert kind.needs == ["float64"]
    assert "the kernel returned float32 for out, needed is float64: compute in the dtype of what is given" in " ".join(
        str(report).split()
    )
