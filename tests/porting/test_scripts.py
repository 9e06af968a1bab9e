"""Every script for PyTorch runs on tinyres after its imports were replaced; a seed decides all its numbers."""

import math

import pytest

import tinyres as tr
from tests.porting.ported import SCRIPTS, module_of, ported


def test_only_imports_are_replaced():
    source = "import torch\nimport torch.nn as nn\nfrom torch.nn import functional as F\nfrom torch import nn, optim\n"
    assert ported(source) == (
        "import tinyres as torch\nimport tinyres.nn as nn\nfrom tinyres.nn import functional as F\n"
        "from tinyres import nn, optim\n"
    )
    assert len(SCRIPTS) == 10
    for path in SCRIPTS.values():
        before, after = path.read_text().splitlines(), ported(path.read_text()).splitlines()
        changed = [a for a, b in zip(before, after, strict=True) if a != b]
        assert len(changed) >= 2
        assert all(line.split()[0] in ("import", "from") for line in changed)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_seed_decides_everything(name):
    module = module_of(ported(SCRIPTS[name].read_text()), name)
    found = []
    for seed in (3, 3, 4):
        tr.manual_seed(seed)
        found.append(module.train(module.build(), 3))
    assert len(found[0]) >= 3
    assert all(math.isfinite(number) for number in found[0])
    assert found[0] == found[1] != found[2]
