"""Run as a program, with `main`'s arguments as JSON: compiles kernels, and prints what became of each as JSON."""

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ONE = "64x16"  # of all tiles


def ptxas():
    """The assembler of the release that Numba compiles with: the one beside its library, or else the system's."""
    for name in ("nvidia.cuda_nvcc", "nvidia.cu13", "nvidia.cu12"):
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        for folder in (found.submodule_search_locations or []) if found else []:
            if (Path(folder) / "bin" / "ptxas").exists():
                return str(Path(folder) / "bin" / "ptxas")
    return shutil.which("ptxas")


def kernels():
    """(name, type, how it is made, its arguments): all that are declared, and the tiled ones for every tile."""
    import numpy as np
    from tinyres_kernels.cuda import conv_plan, conv_tile, conv_tiled, conv_weights, host, winograd, winograd_kernels
    from tinyres_kernels.cuda.conv_measure import Measure

    follow = {"norm": (conv_tile.Norm(1e-5, True, True), 16), "statistics": (Measure(True, True, True), 23)}
    for real in ("float32", "float64"):
        for name, (make, arguments) in host.MADE.items():
            if "width" in inspect.signature(make).parameters:
                for width in (4, 1):
                    of_width = lambda number, make=make, width=width: make(number, width)
                    yield f"{name}, {width} at once", real, of_width, arguments
            else:
                yield name, real, make, arguments
        for width in (4, 1):
            words = conv_tile.Words(width, width, width)
            tiles = [offer.tile for offer in conv_plan.offers(np.dtype(real), words)]
            largest = max(tiles, key=lambda tile: tile.rows * tile.columns)
            for tile in tiles:
                shape = f"{tile.rows}x{tile.columns}"
                if (real, width) == ("float64", 1) or (real == "float64" and tile != largest):
                    continue  # in float64 the same lines are repeated for each tile
                if width == 1 and shape != ONE:
                    continue  # of what is slower than it need be, one is enough
                for name, more in (("conv2d", (False,)), ("conv2d_dx", (True,)), ("conv2d_dw", ())):
                    if name == "conv2d_dx" and shape != ONE and tile != largest:
                        continue  # it differs from conv2d in where a slab comes from, by the same lines for each tile
                    make = conv_tiled.gather_kernel if more else conv_weights.weight_kernel
                    of_tile = lambda number, make=make, given=(tile, words, *more): make(number, *given)
                    yield f"{name} {shape} by {width}", real, of_tile, "rrrb66" if more else "rrrurd66"
            # What follows a product is the same lines for each tile: the largest shows how many registers it takes.
            spare = [tile for tile in tiles if conv_tile.spares(tile)]
            largest = max(spare, key=lambda tile: tile.rows * tile.columns, default=None)
            ones = [] if real == "float64" else [ONE]
            for tile in spare:
                if (tile != largest or width == 1) and f"{tile.rows}x{tile.columns}" not in ones:
                    continue
                for title, (then, numbers) in follow.items():
                    of_tile = lambda number, given=(tile, words, False, then): conv_tiled.gather_kernel(number, *given)
                    name = f"conv2d and {title}, {tile.rows}x{tile.columns}, {width}"
                    yield name, real, of_tile, (*"rrr", numbers, 6, 6)
    for block, _, _ in winograd.OFFERS:
        of_block = lambda number, block=block: winograd_kernels.winograd_kernel(number, block)
        yield f"winograd {block.tiles}x{block.columns}", "float32", of_block, "rrrr97"
        of_block = lambda number, block=block: winograd_kernels.winograd_kernel(number, block, follow["statistics"][0])
        yield f"winograd {block.tiles}x{block.columns} and statistics", "float32", of_block, (*"rrrr", 9, 19)
        of_block = lambda number, block=block: winograd_kernels.winograd_weights_kernel(number, block)
        yield f"winograd's weights, {block.columns} columns", "float32", of_block, "rr7n"


def count(argument):
    """Of what is no array and no single number: the integers of a tuple, as a number or a digit."""
    return argument if isinstance(argument, int) else int(argument, 16)


def signature(arguments, real):
    from numba import types

    number = getattr(types, real)
    known = {
        "r": number[::1], "R": number[:, ::1], "q": number[:, :, :, ::1], "s": number,
        "i": types.int32[:, :, :, ::1], "l": types.int64[::1], "u": types.uint32[::1], "n": types.int64,
    }  # fmt: skip
    return types.void(*(known.get(a) or types.UniTuple(types.int64, count(a)) for a in arguments))


def parameters(text, name):
    """The type of each parameter of the kernel, in order, and the places of those which are made addresses."""
    listed = re.search(rf"\.entry {name}\(([^)]*)\)", text)[1]
    types = re.findall(rf"\.param \.(\w+) {name}_param_\d+", listed)
    assert listed.count(".param") == len(types)
    registers = dict(re.findall(rf"ld\.param\.u64\s+(%rd\d+), \[{name}_param_(\d+)\]", text))
    addresses = re.findall(r"cvta\.to\.global\.u64\s+%rd\d+, (%rd\d+);", text)
    return types, sorted({int(registers[register]) for register in addresses})


def compiled(name, real, kernel, arguments, target, assembler, folder):
    from tinyres_kernels.cuda import launching

    major, minor = map(int, target.split("."))
    here = SimpleNamespace(compute_capability=(major, minor))  # what a kernel calls is compiled for the current device
    bounds = kernel.targetoptions.get("launch_bounds")
    types = signature(arguments, real)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=here):
        text = launching.ptx(kernel, types, (major, minor))
    given, addresses = parameters(text, kernel.py_func.__name__)
    source = Path(folder) / "kernel.ptx"
    source.write_text(text)
    command = [assembler, "-v", f"-arch=sm_{major}{minor}", str(source), "-o", str(source.with_suffix(".cubin"))]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(f"{name} for sm_{major}{minor}: ptxas says {said.stderr}")
    stack, stores, loads = map(
        int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", said.stderr).groups()
    )
    shared = re.search(r"(\d+) bytes smem", said.stderr)
    return {
        "kernel": name,
        "type": real,
        "target": target,
        "parameters": given,
        "addresses": addresses,
        "written": launching.layout(types),
        "arguments": arguments,
        "missing": re.findall(r"^\s*\.extern.*", text, re.MULTILINE),
        "file": launching.place(kernel, types, (major, minor)).name,
        "described": repr(launching.described(kernel.py_func)),
        "registers": int(re.search(r"Used (\d+) registers", said.stderr)[1]),
        "shared": int(shared[1]) if shared else 0,
        "stack": stack,
        "spilled": stores + loads,
        "doubles": len(re.findall(r"\.f64", text)),
        "products": len(re.findall(r"fma\.rn", text)),
        "loads": {
            f"{space} by {width or '1'}": len(re.findall(rf"ld\.{space}\.{f'v{width}.' if width else ''}f", text))
            for space in ("shared", "global")
            for width in ("", "2", "4")
        },
        "copies": {kind: len(re.findall(rf"cp\.async\.{kind}", text)) for kind in ("cg", "ca")},  # 16 bytes, fewer
        "stores": {width: len(re.findall(rf"st\.global\.v{width}\.f", text)) for width in ("2", "4")},
        "resident": bounds[0] * bounds[1] // 32 if bounds else 0,  # warps that were asked for
    }


def one_front_end():
    """Numba types and lowers a kernel once for all targets, as these begin to differ behind it: half of the time."""
    from numba.cuda import compiler

    real, kept = compiler._compile_pyfunc_with_fixup, {}

    def once(function, given, **how):
        key = (function, str(given))
        if key not in kept:
            kept.clear()
            kept[key] = real(function, given, **how)
        return kept[key]

    return mock.patch.object(compiler, "_compile_pyfunc_with_fixup", once)


def for_each_target(name, real):
    """Whether targets but the last one get a kernel, too: those of float32 with tiles or windows, four numbers at once,
    of one tile. They copy while they compute, and are held to a number of registers, and that is where targets differ.
    """
    tile = re.search(r"\d+x\d+", name) if name.startswith("conv2d") else None
    of_windows = name.startswith(("conv2d", "winograd")) and not re.search(r"(by|,) 1$", name)
    return real == "float32" and of_windows and (tile is None or tile[0] == ONE)


def main(targets, only=None, share=(0, 1)):
    """All kernels for the last of the targets, a part of them for the others too; or only those of these names and
    types. share: which part of how many.
    """
    import numpy as np

    number, shares = share
    assembler = ptxas()
    if importlib.util.find_spec("numba_cuda") is None or assembler is None:
        print("numba-cuda is missing" if assembler else "ptxas is missing", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder, one_front_end():
        for name, real, make, arguments in list(kernels())[number::shares]:
            if only is not None and [name, real] not in only:
                continue
            kernel = make(getattr(np, real))
            for target in targets if for_each_target(name, real) else targets[-1:]:
                print(json.dumps(compiled(name, real, kernel, arguments, target, assembler, folder)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))
