"""`tinyres port`: it names at once all that a script lacks, with its line and the mend, and nothing that is here."""

import ast
import json
import re

import numpy as np
import pytest

import tinyres as tr
from tests.porting.ported import SCRIPTS, ported
from tinyres.cli import main, port_script
from tinyres.cli.ported import with_imports
from tinyres.refusals import absent
from tinyres.refusals.absent import NEAR
from tinyres.signatures import CONVERT, SIGNATURES

LACKS = '''import torch
import torch.nn as nn
import torch.optim.lr_scheduler
import torch.nn.functional as F
from torch.utils.data import DataLoader, WeightedRandomSampler
from torch import fft as spectra
from torchvision import datasets

class Net(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(3, 4, device="cpu")
        self.t = nn.Transformer(4)
    def own_(self): ...

def init(m):
    m.weight.data.normal_(0.0, 0.02)
    nn.init.constant_(m.bias.data, 0)

pe, net, logs = torch.zeros(3, 4), Net(), {}
pe[:, 0::2] = torch.sin(pe)
logs["loss"] = logs[f"a {pe}"] = F.no_such(pe)
pe.unfold(0, 2, 1); pe.relu_(); net.own_(); pe.requires_grad_()
torch.optim.lr_scheduler.CyclicLR(net)
F.relu(pe, inplace=True)
pe[0] += 1
spectra.rfft(pe)
'''  # fmt: skip
SAID = {
    5: ("torch.utils.data.WeightedRandomSampler", NEAR["sampler"]),
    6: ("torch.fft", NEAR["fft"]),
    7: ("torchvision", "another package"),
    11: ("torch.nn.Linear(device=)", "there is no argument device: call .to(device)"),
    12: ("torch.nn.Transformer", NEAR["attention"]),
    16: ("m.weight.data.normal_(...)", "drop it, p.normal_(...), inside `with tr.no_grad():`"),
    17: ("torch.nn.init.constant_(.data)", "hand over the parameter itself"),
    20: ("pe[:, 0::2] = ...", "build a new one"),
    21: ("torch.nn.functional.no_such", "nobody has asked for it yet"),
    23: ("torch.optim.lr_scheduler.CyclicLR", NEAR["schedule"]),
    25: ("pe[0] = ...", "build a new one"),
    26: ("torch.fft.rfft", NEAR["fft"]),
}


def port(capsys, path, *options):
    status = main(["port", str(path), *map(str, options)])
    out, err = capsys.readouterr()
    return status, out, err


def lines(out):
    """{line: (what, mend)}; a line of the script may have several: those of the last are kept."""
    return {int(n): (what, mend.strip()) for n, what, mend in re.findall(r"^line (\d+): (.*)\n(.*)$", out, re.M)}


def test_all_that_is_missing_with_its_line_and_mend(capsys, tmp_path):
    (tmp_path / "a.py").write_text(LACKS)
    status, out, err = port(capsys, tmp_path / "a.py")
    assert (status, err) == (1, "")
    found = lines(out)
    assert set(found) == {*SAID, 22}
    for line, (what, mend) in SAID.items():
        assert what in found[line][0]
        assert mend in found[line][1]
    assert out.count("line 22: ") == 2, "unfold and relu_, neither one's own method nor one that is here"
    assert "torch.nn.functional: relu\n" in out
    assert "torch.utils.data: DataLoader\n" in out


@pytest.mark.parametrize("name", SCRIPTS)
def test_of_a_script_that_runs_here_no_name_is_missing(capsys, name, tmp_path):
    """Ten scripts that give PyTorch's losses; what is perhaps a tensor is for the reader to judge."""
    _, out, _ = port(capsys, SCRIPTS[name], "--out", tmp_path / "ported.py")
    assert {what for what, _ in lines(out).values() if not what.endswith("if that is a tensor")} == set()
    assert (tmp_path / "ported.py").read_text() == ported(SCRIPTS[name].read_text())


def test_a_script_without_pytorch_and_what_is_no_script(capsys, tmp_path):
    (tmp_path / "a.py").write_text("import math\nmath.sqrt(2)\n")
    status, out, _ = port(capsys, tmp_path / "a.py")
    assert (status, out) == (0, f"{tmp_path / 'a.py'}: uses nothing of PyTorch\n")
    for name, content in (("b.py", b"def f(:\n"), ("c.py", b"\xff\xfe"), ("d.py", b"a\0b")):
        (tmp_path / name).write_bytes(content)
        status, out, err = port(capsys, tmp_path / name)
        assert (status, out) == (2, "")
        assert err.startswith(f"tinyres port: {tmp_path / name}: is not Python")
        assert err.count("\n") == 1
    status, _, err = port(capsys, tmp_path / "missing.py")
    assert (status, err) == (2, f"tinyres port: {tmp_path / 'missing.py'}: cannot be read: No such file or directory\n")


def test_it_runs_nothing(capsys, tmp_path):
    (tmp_path / "a.py").write_text("import torch\nraise SystemExit(torch.ones(1))\n")
    status, out, _ = port(capsys, tmp_path / "a.py")
    assert (status, "torch: ones" in out, "nothing to mend" in out) == (0, True, True)


IMPORTS = {
    "import torch": "import tinyres as torch",
    "import torch, torch.nn as nn": "import tinyres as torch, tinyres.nn as nn",
    "import torch as th, torch.nn as nn": "import tinyres as th, tinyres.nn as nn",
    "import torch.nn.functional as F, torch.optim as optim": (
        "import tinyres.nn.functional as F, tinyres.optim as optim"
    ),
    "import os, torch; import torch.nn": "import os, tinyres as torch; import tinyres as torch",
    "import torch  # import torch": "import tinyres as torch  # import torch",
    "é = 1; import torch, \\\n  torch.nn as nn": "é = 1; import tinyres as torch, \\\n  tinyres.nn as nn",
    "try: import torch\nexcept ImportError: pass": "try: import tinyres as torch\nexcept ImportError: pass",
    "from torch.nn import (Linear,\n  ReLU)": "from tinyres.nn import (Linear,\n  ReLU)",
    "from  torch import nn": "from  tinyres import nn",
    "import torchvision, torch_geometric as t": "import torchvision, torch_geometric as t",
    "from .torch import nn\nfrom torchvision import io": "from .torch import nn\nfrom torchvision import io",
    'text = """\nimport torch\n"""': 'text = """\nimport torch\n"""',
}


@pytest.mark.parametrize("theirs", IMPORTS)
def test_every_import_of_a_statement_is_replaced_and_nothing_else(theirs):
    source = theirs + "\n"
    assert with_imports(source, ast.parse(source)) == IMPORTS[theirs] + "\n"


def test_several_imports_in_a_line_run(capsys, tmp_path):
    lines = ["import torch, torch.nn as nn", "import torch.optim as optim, torch.nn", "n = torch.nn.Linear(2, 3)"]
    (tmp_path / "a.py").write_text("\n".join([*lines, "o = optim.SGD([*nn.ReLU().parameters(), *n.parameters()])"]))
    assert port(capsys, tmp_path / "a.py", "--out", tmp_path / "b.py")[0] == 0
    names = {}
    exec((tmp_path / "b.py").read_text(), names)
    assert names["o"].param_groups[0]["params"][0] is names["n"].weight


def cell(*lines, kind="code"):
    return {"cell_type": kind, "metadata": {}, "source": list(lines)}


def test_a_notebook_is_read_cell_by_cell(capsys, tmp_path):
    """Its prose is not, nor are the lines of IPython, which stay."""
    cells = [
        cell("import torch in prose", kind="markdown"),
        cell("%matplotlib inline\n", "import torch, torch.nn as nn\n", "!pip install torch"),
        cell("%%bash\n", "torch.fft"),
        cell("%%time\n", "x = torch.zeros(\n", "  3)\n", "torch.fft.fft(x)\n", "x[0] = 1\n", "x?"),
        cell("if x.any():\n", "    !ls\n", "files = !ls"),
    ]
    document = {"cells": cells, "metadata": {"é": 1}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(document))
    status, out, _ = port(capsys, tmp_path / "a.ipynb", "--out", tmp_path / "b.ipynb")
    assert status == 1
    assert re.findall(r"^(cell .*): (.*)\n", out, re.M) == [
        ("cell 4, line 4", "torch.fft.fft"),
        ("cell 4, line 5", "x[0] = ..., if that is a tensor"),
    ]
    cells[1]["source"][1] = "import tinyres as torch, tinyres.nn as nn\n"
    assert json.loads((tmp_path / "b.ipynb").read_text()) == document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", 'is not a Jupyter notebook of version 4: it has no list of "cells"'),
        ("import torch", "is not a Jupyter notebook: Expecting value"),
        (json.dumps({"cells": [cell("a"), cell("b", "x x")]}), "is not Python: cell 2, line 1: invalid syntax"),
    ],
)
def test_what_is_no_notebook(capsys, tmp_path, content, said):
    (tmp_path / "a.ipynb").write_text(content)
    status, out, err = port(capsys, tmp_path / "a.ipynb")
    assert (status, out) == (2, "")
    assert said in err


def test_a_file_that_is_there_is_kept_unless_forced(capsys, tmp_path):
    (tmp_path / "a.py").write_text("import torch\ntorch.ones(1)\n")
    (tmp_path / "b.py").write_text("mended by hand")
    status, _, err = port(capsys, tmp_path / "a.py", "--out", tmp_path / "b.py")
    assert (status, (tmp_path / "b.py").read_text()) == (2, "mended by hand")
    assert f"{tmp_path / 'b.py'} exists, and may" in err
    assert port(capsys, tmp_path / "a.py", "--out", tmp_path / "b.py", "--force")[0] == 0
    assert (tmp_path / "b.py").read_text() == "import tinyres as torch\ntorch.ones(1)\n"


CHANGED = """import torch
import torch.nn as nn
from torchvision.utils import save_image
from torchvision import utils, datasets
p = nn.Parameter(torch.ones(2))
p.grad.data.clamp_(-1, 1)
p.grad.clamp_(-1, 1)
p.grad.detach().zero_()
p.data *= 0.9
p.grad.data /= 2
p.grad *= 2
torch.save(p, "x.pt")
torch.save(p, folder / f"{name}.safetensors")
torch.load(path)
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.benchmark = True
nn.DataParallel(net)
torch.multinomial(p, 1)
"""


def test_changes_of_gradients_and_of_data_and_files(capsys, tmp_path):
    """What is said of a gradient must not change the weight."""
    (tmp_path / "a.py").write_text(CHANGED)
    _, out, _ = port(capsys, tmp_path / "a.py")
    found = lines(out)
    assert set(found) == {3, 4, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17}
    assert "plt.imsave" in found[3][1]
    assert out.count("line 4: torchvision") == 2
    for line in (6, 7, 8, 10):
        assert found[line][1].startswith("a gradient is not written into: bind a new one, p.grad = p.grad.clip(-1, 1)")
    assert found[6][0] == "p.grad.data.clamp_(...)"
    assert found[9] == (
        "p.data *= ...",
        "`.data` is a read-only NumPy array here: assign a new one, p.data = p.data * ...",
    )
    assert found[12][1].startswith("tr.save writes safetensors, not pickles")
    assert "tr.save(torch.load(path, map_location='cpu'), 'new.safetensors')" in found[14][1]
    assert found[15][1].startswith("delete the line")
    assert found[16][1].startswith("delete the line")
    assert "call the model itself" in found[17][1]


ADVICE = [*NEAR.values(), *absent._ELSEWHERE.values(), CONVERT, *SIGNATURES.values()]
ADVICE += [t for name, t in vars(port_script).items() if name.isupper() and isinstance(t, str)]
ADVICE += port_script.FILES.values()


@pytest.mark.parametrize("text", ADVICE)
def test_every_command_and_name_in_an_advice_exists(capsys, text):
    for command, flags in re.findall(r"\btinyres ([a-z][\w-]*)((?: [\w-]+)*)", text):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        help_text = capsys.readouterr().out
        assert all(flag in help_text for flag in re.findall(r"--[\w-]+", flags))
    for name in re.findall(r"\b((?:tr|nn|np|optim|tinyres)\.\w[\w.]*)", text):
        root, *rest = name.rstrip(".").split(".")
        found = {"tr": tr, "tinyres": tr, "nn": tr.nn, "np": np, "optim": tr.optim}[root]
        for part in rest:
            found = getattr(found, part)


def test_arguments_that_are_refused_and_scalers_are_listed(capsys, tmp_path):
    (tmp_path / "a.py").write_text("""import torch
from torch.cuda.amp import GradScaler
x = torch.zeros(2, pin_memory=True)
torch.mul(x, x, out=x)
torch.nn.BatchNorm2d(3, momentum=None)
torch.nn.BatchNorm2d(3, momentum=0.2), torch.zeros(2, device="cpu")
torch.cuda.manual_seed_all(0)
self.scaler = GradScaler()
self.scaler.scale(loss).backward()
self.scaler.unscale_(opt)
self.scaler.step(opt)
self.scaler.update()
other.scale(loss), other.update()
""")
    found = lines(port(capsys, tmp_path / "a.py")[1])
    for line, said in {
        3: "pin_memory: leave it out",
        4: "bind the result, y = tr.mul(...)",
        5: "momentum must be a number from 0 to 1",
        7: "delete the line: tr.manual_seed is enough",
        9: "write loss.backward()",
        10: "delete the line: gradients are not scaled",
        11: "write optimizer.step()",
        12: "delete the line",
    }.items():
        assert said in found[line][1]
    assert not {6, 13} & set(found)
