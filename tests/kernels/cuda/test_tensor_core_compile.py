"""The tensor-core convolutions, compiled for two GPUs without one: NVRTC, then ptxas; and what is refused."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="NO KERNELS: numba-cuda is missing; pip install 'numba-cuda[cu12]'")
from tinyres_kernels.cuda import tensor_core
from tinyres_kernels.cuda.tensor_core import program
from tinyres_kernels.cuda.tensor_core.program import Variant
from tinyres_kernels.settings import Conv

_spec = importlib.util.spec_from_file_location("compiled", Path(__file__).parent / "compiled.py")
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)


def test_fragments_are_read_without_bank_conflicts():
    """Lane 4 g + t reads (row g, deep t) of a and (deep t, column g) of b: 32 words in 32 banks."""
    text = (program.HERE / "convolution.cu").read_text()
    said = dict(re.findall(r"(\w+_PITCH\w*) = ([^,;]+)", text))
    for columns in tensor_core.conv.WIDTHS:
        known = {"DEEP": tensor_core.conv.DEEP, "ROWS": tensor_core.conv.ROWS, "COLUMNS": columns}
        pitch = {name: eval(expression, known) for name, expression in said.items()}
        assert len({(g * pitch["A_PITCH"] + t) % 32 for g in range(8) for t in range(4)}) == 32
        for name in ("A_PITCH_TURNED", "B_PITCH"):
            assert len({(t * pitch[name] + g) % 32 for g in range(8) for t in range(4)}) == 32
        assert all(words % 4 == 0 for words in pitch.values())  # rows begin where copies of 16 bytes may


def ptx(nvrtc, variant, target):
    def done(answer):
        assert answer[0].value == 0, answer[0]
        return answer[1] if len(answer) > 1 else None

    made = done(nvrtc.nvrtcCreateProgram(program.source().encode(), b"convolution.cu", 0, [], []))
    options = [option.encode() for option in (*variant.options, f"--gpu-architecture=compute_{target}")]
    status = nvrtc.nvrtcCompileProgram(made, len(options), options)[0]
    log = bytearray(done(nvrtc.nvrtcGetProgramLogSize(made)))  # no bytes: Python shares one object for all b"\0"
    nvrtc.nvrtcGetProgramLog(made, log)
    assert status.value == 0, log.decode()
    text = bytearray(done(nvrtc.nvrtcGetPTXSize(made)))
    nvrtc.nvrtcGetPTX(made, text)
    return text.decode().rstrip("\0")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["80", "90"])
@pytest.mark.parametrize(("columns", "products"), [(c, p) for c in tensor_core.conv.WIDTHS for p in (3, 1)])
def test_compiled_for_a_gpu(target, columns, products, tmp_path):
    """No spills, registers and shared memory for two blocks a multiprocessor (one of the widest), and every mma."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="NO NVRTC: pip install 'numba-cuda[cu12]'")
    assembler = compiled.ptxas()
    if assembler is None:
        pytest.skip("NO ASSEMBLER: ptxas is missing; pip install 'numba-cuda[cu12]'")
    for words in ((4, 4), (1, 1)) if target == "90" else ((4, 4),):  # number by number, the lines are those of both
        text = ptx(nvrtc, Variant(columns, products, *words), target)
        (tmp_path / "k.ptx").write_text(text)
        command = [assembler, "-v", f"-arch=sm_{target}", str(tmp_path / "k.ptx"), "-o", str(tmp_path / "k.cubin")]
        said = subprocess.run(command, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        numbers = [int(n) for n in re.findall(r"(?:frame, |stores, )?(\d+) bytes (?:stack|spill)", said.stderr)]
        assert len(numbers) == 9  # three kernels
        assert not any(numbers), said.stderr
        registers = [int(n) for n in re.findall(r"Used (\d+) registers", said.stderr)]
        assert max(registers) <= (255 if columns == 128 else 128)
        assert max(int(n) for n in re.findall(r"(\d+) bytes smem", said.stderr)) <= 48 * 1024
        # In each of two kernels: 2 steps of a slab, unrolled when quick and not when careful, over a warp's tiles.
        tiles = 128 * columns // 8 // (16 * 8)
        assert text.count("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32") == 2 * (2 + 1) * tiles * products
        assert "cp.async" in text


def test_refusals():
    x, w, out = np.ones((1, 3, 3, 4)), np.ones((1, 1, 4, 4)), np.ones((1, 3, 3, 4))
    how = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    with pytest.raises(ValueError, match="compute in float32, got float64"):
        tensor_core.conv2d(x, w, out, **how)
    single = [a.astype("float32") for a in (x, w, out)]
    with pytest.raises(ValueError, match="products must be 3"):
        tensor_core.conv.conv2d(*single, Conv(**how), products=2)
    with pytest.raises(TypeError, match="need CuPy arrays, got numpy's"):
        tensor_core.conv2d(*single, **how)


class Library(SimpleNamespace):
    """As much of CuPy as compiles a kernel."""

    __hash__ = object.__hash__

    def __init__(self, capability):
        device = SimpleNamespace(compute_capability=capability)
        super().__init__(cuda=SimpleNamespace(Device=lambda number: device, runtime=SimpleNamespace(is_hip=False)))

    def RawModule(self, code, options):
        self.code, self.options = code, options
        return SimpleNamespace(get_function=lambda name: f"the kernel {name}")


def test_old_gpus_are_refused_and_new_ones_are_given_the_whole_program():
    with pytest.raises(RuntimeError, match=r"capability 8.0 or later .* this one has 75"):
        program._kernel(Library("75"), 0, Variant(), "gather")
    new = Library("90")
    assert program._kernel(new, 0, Variant(64, 3, 4, 1), "gather") == "the kernel gather"
    assert "cvt.rna.tf32" in new.code
    assert "sum_parts" in new.code
    assert {"-DCOLUMNS=64", "-DPRODUCTS=3", "-DA_WORDS=4", "-DB_WORDS=1"} < set(new.options)
