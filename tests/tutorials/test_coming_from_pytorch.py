"""The page for those who come from PyTorch: its code runs, its two columns differ by imports, its tables are true."""

import importlib.util
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.porting.ported import ported
from tinyres import flow
from tinyres.refusals import absent

TUTORIALS = Path(__file__).parents[2] / "tutorials"
SPEC = importlib.util.spec_from_file_location("left_out_of_the_site", TUTORIALS / "_left_out.py")
left_out = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(left_out)
PAGE = (TUTORIALS / "coming_from_pytorch.md").read_text(encoding="utf-8")
THEIRS, OURS, *REST = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
SCRIPTS = Path(__file__).parents[1] / "porting" / "scripts"


def run(blocks):
    session = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "coming_from_pytorch.md", "exec"), session)
    return session


def test_the_columns_differ_by_their_imports():
    assert "import torch\n" in THEIRS
    assert ported(THEIRS) == OURS
    assert THEIRS != OURS


def test_the_code_runs_as_it_stands(capsys):
    assert len(REST) == 7
    session = run([OURS, *REST])
    shares = session["recording"].skip_share()
    assert list(shares) == ["1", "2"]
    assert ((shares.numpy() > 0) & (shares.numpy() < 1)).all()
    wide = tr.randn(5, 16)
    np.testing.assert_allclose(session["split"](wide).numpy(), session["gated"](wide).numpy(), atol=1e-6)
    net = tr.nn.Sequential(tr.nn.Linear(16, 16), session["split"])
    with flow.record(net) as recording:
        net(wide).sum().backward()
    assert list(recording.skip_share()) == ["1.0"]
    assert session["loss"].item() < 0.3
    assert session["positive"].tolist() == [[1, 0], [3, 4]]
    assert session["added"].tolist() == [[2, -1]]
    assert session["w"].tolist() == [0.5, 0.5]
    assert session["w"].grad is None
    assert session["position"].dtype == tr.float32
    assert session["first"] == 4
    assert session["checkpoint"]["losses"] == [0.9, 0.4]
    filled, place = np.zeros((50, 16)), np.arange(50)[:, None]
    filled[:, 0::2] = np.sin(place / 10000 ** (np.arange(0, 16, 2) / 16))
    filled[:, 1::2] = np.cos(place / 10000 ** (np.arange(0, 16, 2) / 16))
    np.testing.assert_allclose(session["pe"].numpy(), filled, atol=1e-5)
    said = capsys.readouterr().out
    assert "right" in said
    assert absent.NEAR["fft"] in said


@pytest.mark.parity
def test_the_column_of_pytorch_runs_too(capsys):
    pytest.importorskip("torch")
    assert run([THEIRS])["loss"].item() < 0.3


@pytest.mark.parity
def test_a_file_of_pytorch_says_how_it_gets_in_and_so_it_does(tmp_path):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.Linear(2, 3), tr.nn.Linear(2, 3)
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(
        tr.FileFormatError, match=r"tr.save\(torch.load\(path, map_location='cpu'\), 'new.safetensors'\)"
    ):
        tr.load(tmp_path / "weights.pt")
    (lines,) = re.findall(r"^    import torch\n.*?safetensors\"\)$", PAGE, re.M | re.S)
    lines = textwrap.dedent(lines).replace('"weights', f'"{tmp_path.as_posix()}/weights')
    exec(lines, {})
    ours.load_state_dict(tr.load(tmp_path / "weights.safetensors"))
    np.testing.assert_array_equal(ours.weight.numpy(), theirs.weight.detach().numpy())


@pytest.mark.parity
def test_a_nested_checkpoint_with_shared_weights_gets_in_as_well(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False))
    theirs[1].weight = theirs[0].weight
    optimizer = torch.optim.Adam(theirs.parameters())
    theirs(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    state = {"model": theirs.state_dict(), "opt": optimizer.state_dict(), "config": {"layers": 3, "name": "é"}}
    torch.save(state, tmp_path / "a.pt")
    tr.save(torch.load(tmp_path / "a.pt", map_location="cpu"), tmp_path / "a.safetensors")
    back = tr.load(tmp_path / "a.safetensors")
    assert back["config"] == state["config"]
    ours = tr.nn.Sequential(tr.nn.Embedding(5, 3), tr.nn.Linear(3, 5, bias=False))
    ours[1].weight = ours[0].weight
    ours.load_state_dict(back["model"])
    np.testing.assert_array_equal(ours[0].weight.numpy(), theirs[0].weight.detach().numpy())
    moment = back["opt"]["state"][0]["exp_avg"]
    np.testing.assert_array_equal(moment, optimizer.state_dict()["state"][0]["exp_avg"].numpy())


def test_what_the_table_of_differences_says():
    x, i = tr.ones(3), tr.arange(3)
    w = tr.ones(3, requires_grad=True)
    with pytest.raises(AttributeError, match="a tensor is a value"):
        x.add_(1)
    with pytest.raises(TypeError, match="cannot be written into"):
        x[0] = 0
    with pytest.raises(TypeError, match=r"write p\.data = "):
        w -= x
    before = out = x
    out += 1
    assert (before.tolist(), out.tolist()) == ([1, 1, 1], [2, 2, 2])
    assert not isinstance(w.data, tr.Tensor)
    assert not w.data.flags.writeable
    assert not x.numpy().flags.writeable
    assert (i * x).dtype == (i / 2).dtype == (i * 0.5).dtype == i.mean().dtype == tr.float64
    assert (i.float() * x).dtype == tr.float32
    assert tr.Tensor([1, 2]).dtype == tr.int64
    with pytest.raises(TypeError, match="device"):
        tr.nn.Linear(2, 3, device="cpu")


def test_what_is_left_out_is_the_codes_own_table():
    content = [PAGE]
    left_out.fill(None, "coming_from_pytorch", content)
    assert left_out.PLACE not in content[0]
    rows = content[0].split("## What is left out")[1].replace("\\", "")
    for kind, why in absent.NEAR.items():
        assert f" | {why} |" in rows, kind
    for name in absent.NAMES:
        assert f"`{name}`" in rows
        with pytest.raises(AttributeError, match=re.escape(absent.NEAR[absent.kind_of(name)])):
            getattr(tr, name)
    assert all(row.split("|")[1].strip() for row in left_out.table().splitlines())
    content = [left_out.PLACE]
    left_out.fill(None, "gallery", content)
    assert content == [left_out.PLACE]


def test_the_page_is_linked_and_names_what_exists():
    for page in (TUTORIALS / "index.md", TUTORIALS.parent / "README.md"):
        assert "coming_from_pytorch.md" in page.read_text(encoding="utf-8")
    assert "`tests/porting/scripts`" in PAGE
    assert len(list(SCRIPTS.glob("*.py"))) == 10
    for name in re.findall(r"`(?:tr|tinyres)\.([\w.]+)", PAGE):
        found = tr
        for part in name.split("."):
            found = getattr(found, part)
