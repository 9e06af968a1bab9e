"""The tensor-core kernels on a processor: built with g++ against tensor_core_machine.hpp, run on NumPy arrays."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
from tinyres_kernels.cuda.tensor_core.program import HERE as KERNELS

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
ORDERS = 3  # in which the warps run


class Machine:
    """Takes the place of `program.launch`. Libraries are built once a variant, below `folder`.

    `change`: a sentence of convolution.cu, and what it is replaced by.
    """

    def __init__(self, folder, change=None):
        self.folder, self.libraries, self.order, self.late, self.mmas, self.variants = folder, {}, 0, 0, 0, set()
        self.source = folder / "convolution.cu"
        text = (KERNELS / "convolution.cu").read_text(encoding="utf-8")
        if change:
            assert text.count(change[0]) == 1, f"{change[0]!r} is in convolution.cu {text.count(change[0])} times"
            text = text.replace(*change)
        self.source.write_text(text, encoding="utf-8")

    def library(self, variant):
        if variant not in self.libraries:
            built = self.folder / ("_".join(map(str, variant)) + ".so")
            command = [COMPILER, "-O2", "-w", "-shared", "-fPIC", "-U_FORTIFY_SOURCE", *variant.options]
            command += [f'-DSOURCE="{self.source}"', str(HERE / "tensor_core_host.cpp"), "-o", str(built)]
            said = subprocess.run(command, capture_output=True, text=True)
            assert said.returncode == 0, said.stderr[:3000]
            self.libraries[variant] = ctypes.CDLL(str(built))
            self.libraries[variant].run.restype = ctypes.c_char_p
        return self.libraries[variant]

    def launch(self, name, variant, grid, arrays, *numbers):
        self.variants.add(variant)
        mmas = ctypes.c_longlong()
        fault = self.library(variant).run(
            name.encode(),
            self.order,
            self.late,
            (ctypes.c_int * 3)(*grid),
            (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays)),
            (ctypes.c_longlong * len(arrays))(*(a.size for a in arrays)),
            len(arrays),
            (ctypes.c_int * len(numbers))(*map(int, numbers)),
            ctypes.byref(mmas),
        )
        self.mmas += mmas.value
        if fault:
            raise RuntimeError(f"{name}: {fault.decode()}")


def aligned(shape, values=None):
    """An array of float32 that starts at a multiple of 16 bytes, as those of a GPU do; room around it for faults."""
    size, room = int(np.prod(shape)), 1 << 14
    memory = np.empty(size + 2 * room, "float32")
    first = room - memory.ctypes.data // 4 % 4
    array = memory[first : first + size].reshape(shape)
    array[...] = np.nan if values is None else values
    return array
