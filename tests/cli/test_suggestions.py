"""A command, an option or a name that does not exist: one sentence that says what was perhaps meant."""

import pytest
from tinyres_kernels import __main__ as kernels
from tinyres_kernels.command_line import suggested

from tinyres import training
from tinyres.cli import main

MISTYPED = {
    "check": "tinyres: kernels are checked by `python -m tinyres_kernels check MODULE:FUNCTION --op OP`",
    "trian": "tinyres: no command called 'trian'; did you mean train?",
    "gan trian": "tinyres gan: no command called 'trian'; did you mean train?",
    "bench kernel": "tinyres bench: no command called 'kernel'; did you mean kernels?",
    "train resnet --step 3": "tinyres train: there is no option --step; did you mean --steps",
    "flow --seeeds=2": "tinyres flow: there is no option --seeeds; did you mean --seeds",
    "train resnet --lr fast": "tinyres train: --lr fast: a number is needed (tinyres train --help says more)",
    "flow --seed 0.5": "tinyres flow: --seed 0.5: a whole number is needed",
    "train resnet --zzz": "tinyres train: there is no option --zzz (tinyres train --help says more)",
    "train resnet twice": "tinyres train: does not know what to do with 'twice'",
    "--verison": "tinyres: there is no option --verison; did you mean --version?",
    "flow degradatoin": "tinyres flow: no experiment called 'degradatoin'; did you mean degradation",
    "train resnett": "tinyres train: no architecture called 'resnett'; did you mean resnet",
    "train resnet --data digit": "tinyres train: no data set called 'digit'; did you mean digits?",
    "train resnet --activation rellu": "tinyres train: no activation called 'rellu'; did you mean relu",
    "train resnet --schedule cos": "tinyres train: no schedule called 'cos'; did you mean cosine?",
}


@pytest.mark.parametrize("line", MISTYPED)
def test_one_sentence_says_what_was_perhaps_meant(line, capsys):
    try:
        status = main(line.split())
    except SystemExit as ended:
        status = ended.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith(MISTYPED[line])
    assert err.count("\n") == 1, "no usage before it"


def test_no_option_is_taken_for_a_longer_one(capsys):
    for line in (["train", "resnet", "--epoch", "1"], ["flow", "--see", "1"], ["gan", "train", "--latents", "3"]):
        with pytest.raises(SystemExit):
            main(line)
    with pytest.raises(SystemExit):
        kernels.main(["check", "a:b", "--exampl", "3"])
    assert "did you mean --examples?" in capsys.readouterr().err


def test_a_kernel_s_operation(capsys):
    with pytest.raises(SystemExit):
        kernels.main(["check", "a:b", "--op", "conv"])
    assert "no op called 'conv'; did you mean conv2d or" in capsys.readouterr().err


def test_recipes_in_python_suggest_too():
    with pytest.raises(ValueError, match="no optimizer called 'adm'; did you mean adam or adamw"):
        training.Recipe(optimizer="adm")
    with pytest.raises(ValueError, match="no optimizer called 'lion'; there are sgd, adam, adamw"):
        training.Recipe(optimizer="lion")


def test_what_begins_alike_comes_first():
    assert suggested("--step", ["--seed", "--stop", "--steps"]) == ["--steps", "--stop"]
    assert suggested("q", ["train", "flow"]) == []
