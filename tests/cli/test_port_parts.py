"""`tinyres port` of what writes into a part of a parameter: it says how the part is assigned."""

import re

from tests.cli.test_port import lines, port

PARTS = """import torch
import torch.nn as nn
w = nn.Linear(3, 4)
with torch.no_grad():
    w.weight[:, 1].fill_(2.)
    w.weight.data[:, :2].fill_(1.0)
    w.weight[0] = 1.0
    w.bias.data[1] = 0
    w.bias[2:] += 1
    shadow[name].mul_(0.9)
    for e, b in zip(ema.buffers(), model.buffers()):
        e.copy_(b)
    w.weight.grad[:, 0].zero_()
w.weight[0] = 1.0
nn.init.zeros_(w.weight[0])
scores[:, 1].zero_()
scores[:, 1] = 0
"""


def test_parts_of_parameters_are_assigned_where_nothing_is_recorded(capsys, tmp_path):
    (tmp_path / "a.py").write_text(PARTS)
    found = lines(port(capsys, tmp_path / "a.py")[1])
    assert {line: re.search(r"write (.*?), inside|$", mend)[1] for line, (_, mend) in found.items()} == {
        5: "w.weight[:, 1] = 2.0",
        6: "w.weight[:, :2] = 1.0",
        8: "w.bias[1] = ...",
        13: None,
        14: "w.weight[0] = ...",
        15: "w.weight[0] = ...",
        16: "scores[:, 1] = 0",
        17: None,
    }
    assert found[13][1].startswith("a gradient is not written into")
    assert found[17][1].startswith("a tensor is not written into")
