"""A kernel's LLVM code, as Numba makes it for a GPU, run by the processor: thread after thread, without barriers.

The simulator runs the Python of a kernel. What we lower ourselves, a builtin written in LLVM's terms, only shows here:
the code is the same until NVVM translates it. Where it asks for its block and thread, two numbers are read instead.
"""

import ctypes
import ctypes.util
import re
from types import SimpleNamespace
from unittest import mock

import llvmlite.binding as llvm
import numpy as np
from numba.cuda import compiler
from tinyres_kernels.cuda import launching

ASKED = re.compile(r'call i32 @"?llvm\.nvvm\.read\.ptx\.sreg\.(c?tid|ntid|nctaid|ctaid)\.([xyz])"?\(\)')
C_TYPES = {"q": ctypes.c_int64, "f": ctypes.c_float, "d": ctypes.c_double}


class OnHost:
    """`run(grid, block, arguments)` of one compiled kernel; both sizes are numbers."""

    def __init__(self, kernel, signature):
        for starts in (llvm.initialize_native_target, llvm.initialize_native_asmprinter):
            starts()
        math = ctypes.CDLL(ctypes.util.find_library("m"))
        for name in ("sqrt", "sqrtf"):
            llvm.add_symbol(f"__nv_{name}", ctypes.cast(getattr(math, name), ctypes.c_void_p).value)
        here = SimpleNamespace(compute_capability=(9, 0))  # what a kernel calls is compiled for the current device
        with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=here):
            library, _ = compiler._compile_pyfunc_with_fixup(
                kernel.py_func, signature, device=False, cc=(9, 0), abi="numba"
            )
        modules = [llvm.parse_assembly(_for_host(text)) for text in library.llvm_strs]
        for module in modules[1:]:
            modules[0].link_in(module)
        modules[0].verify()
        machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
        self._engine = llvm.create_mcjit_compiler(modules[0], machine)
        self._engine.finalize_object()
        self._formats = re.findall(r"[qfd]", launching.layout(signature))
        types = [C_TYPES[letter] for letter in self._formats]
        self._call = ctypes.CFUNCTYPE(None, *types)(self._engine.get_function_address(library._entry_name))
        self._places = {
            name: ctypes.c_int32.from_address(self._engine.get_global_value_address(name))
            for name in ("at_ctaid_x", "at_tid_x")
        }

    def run(self, grid, block, arguments):
        numbers = []
        for a in arguments:
            if isinstance(a, tuple):
                numbers += a
            elif isinstance(a, np.ndarray):
                numbers += (0, 0, a.size, a.itemsize, a.ctypes.data, *a.shape, *a.strides)
            else:
                numbers.append(a.item() if isinstance(a, np.generic) else a)
        for self._places["at_ctaid_x"].value in range(grid):
            for self._places["at_tid_x"].value in range(block):
                self._call(*numbers)


def _for_host(text):
    """The code with this machine's names of types, and variables where a GPU's registers were read."""
    text = re.sub(r"^target .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'^declare .*@"?llvm\.nvvm\.read\.ptx\.sreg.*$', "", text, flags=re.MULTILINE)
    text = ASKED.sub(r"load i32, i32* @at_\1_\2", text)
    names = sorted(set(re.findall(r"@(at_\w+)", text)))
    return text + "\n".join(f"@{name} = global i32 0" for name in names)
