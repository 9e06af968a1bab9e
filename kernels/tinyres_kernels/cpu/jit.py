"""Compile the loops, keep the code on disk, and run the shares of a kernel on threads.

A kernel is written as the share of one thread, and compiled once for all thread counts:

    @kernel
    def add(t, threads, a, b, out):
        first, last = part(t, threads, len(a))
        for i in range(first, last):
            out[i] = a[i] + b[i]

    add(2, a, b, out)       # t = 0 and t = 1, at the same time

A share must not raise: the exception would be lost.

Numba's `prange` is used in one place, by `_launch`, which calls a share through its address. In each kernel it
would compile each kernel twice, with and without threads, and with threads three times as slowly.
"""

import ast
import hashlib
import linecache
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.core.errors import TypingError

from tinyres_kernels import guard
from tinyres_kernels.cpu import host
from tinyres_kernels.cpu.cache import Busy, keep
from tinyres_kernels.cpu.compiler import KernelCompiler, PartCompiler
from tinyres_kernels.cpu.emit import emitted

# What is compiled from one file also depends on the others, of which Numba's cache on disk knows nothing.
SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
).hexdigest()[:8]

Function = Callable[..., Any]
ALL = -1  # in place of t: all shares

# No code that counts references: whoever calls a kernel holds its arrays. Threads that count on the same array wait for
# each other, and with two of them a convolution onto few channels took as long as with one.
OPTIONS: Any = {"error_model": "numpy", "_nrt": False}
NO_WRAPPERS: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INT = ir.IntType(64)
SHARE = ir.FunctionType(ir.VoidType(), [INT] * 3)  # (t, threads, where the arguments lie)


def _named(function: Function) -> FunctionType:
    """A copy whose name holds the sources' hash. Numba files code under a function's name, whatever the function calls:
    another version of that is to find no code of this one."""
    assert isinstance(function, FunctionType)
    copy = FunctionType(function.__code__, function.__globals__)
    copy.__name__ = copy.__qualname__ = f"{function.__name__}_{SOURCES}"
    copy.__module__, copy.__doc__ = function.__module__, function.__doc__
    return copy


def compiled(function: Function) -> Any:
    """Compile a function that kernels call. No fastmath: NaN and Inf stay what they are.

    Its code becomes part of theirs; Python cannot call it.
    """
    return numba.njit(**OPTIONS, **NO_WRAPPERS, pipeline_class=PartCompiler)(_named(function))


def inlined(function: Function) -> Any:
    """As `compiled`, for a function with one caller, whose statements it becomes before any of them is compiled."""
    return numba.njit(**OPTIONS, inline="always")(_named(function))


@inlined
def part(t, threads, size):
    """Where thread t's part of `size` numbers begins and ends, for an innermost loop. Unsigned: a negative index counts
    from the end, and where LLVM cannot rule that out, it makes slow vectors of a loop, or none."""
    return np.uintp(size * t // threads), np.uintp(size * (t + 1) // threads)


def kept(function: Function, **options: Any) -> Any:
    """Compile what Python calls, and keep the code on disk."""
    copy = _named(function)
    made = numba.njit(**OPTIONS, nogil=True, pipeline_class=KernelCompiler, **options)(copy)
    keep(made, copy)
    return made


def kernel(function: Function) -> Function:
    """Compile a share, `function(t, threads, ...)`. The kernel takes a number of threads, then the other arguments.

    What is compiled is made when the kernel is first called: most processes call half of them, or none.
    """
    if getattr(numba.config, "DISABLE_JIT", False):
        return _in_python(function)
    text = _text(function)

    @cache
    def start() -> Any:
        made = kept(_start(function, text), no_cfunc_wrapper=True)
        return partial(_compile, made) if _ONLY_COMPILE else made

    def call(threads: int, *args: Any) -> None:
        launcher = _launcher() if threads > 1 else 0
        if mode := guard.mode():
            mode.tell(function.__name__)
            guard.guarded(start(), launcher, ALL, threads, *args, side=mode.side)
        else:
            start()(launcher, ALL, threads, *args)

    return call


_ONLY_COMPILE: list[bool] = []


def only_compile() -> None:
    """From now on, kernels that have not been called yet are compiled for the arguments of a call, and not run: those
    at least that no other process is compiling."""
    _ONLY_COMPILE.append(True)


def _compile(made: Any, *args: Any) -> None:
    with suppress(Busy):
        made.compile(tuple(made.typeof_pyval(a) for a in args))


def _in_python(function: Function) -> Function:
    """One share after the other without a compiler, as NUMBA_DISABLE_JIT asks: to step through it, or to see its
    coverage. What is made of vector instructions cannot be run so, and Numba says it."""

    def call(threads: int, *args: Any) -> None:
        for t in range(threads):
            function(t, threads, *args)

    return call


def _text(function: Function) -> str:
    """Its sources as they are now; nothing, if there are none, or the code does not tell where they end. To find that,
    `inspect.getsource` takes a millisecond."""
    assert isinstance(function, FunctionType)
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)[code.co_firstlineno - 1 :]
    ends = [end for _, end, _, _ in code.co_positions() if end]
    return "".join(lines[: max(ends) - code.co_firstlineno + 1]) if ends else ""


def _start(function: Function, text: str) -> Function:
    """What is compiled of a share: called for t = ALL it hands itself on to the launcher, once for each t. So `add` is

        def add(launcher, t, threads, a, b, out):
            if t == ALL:
                shares(launcher, threads, (a, b, out))
                return
            first, last = part(t, threads, len(a))
            for i in range(first, last):
                out[i] = a[i] + b[i]

    Where there are no sources to read its statements from, Numba inlines them, which takes a sixth longer to compile.
    """
    assert isinstance(function, FunctionType)
    name, code = function.__name__, function.__code__
    t, threads, *others = code.co_varnames[: code.co_argcount]
    names = function.__globals__ | {"ALL": ALL, "shares": _shares}
    before = "\n" * (code.co_firstlineno - 1)
    if not text:
        names["share"] = inlined(function)
        arguments = ", ".join((t, threads, *others))
        text = f"def {name}({arguments}):\n share({arguments})"
    module = ast.parse(before + text)
    (definition,) = module.body
    assert isinstance(definition, ast.FunctionDef)
    given = "".join(f"{other}, " for other in others)
    definition.decorator_list.clear()
    definition.args.args.insert(0, ast.copy_location(ast.arg("launcher"), definition))
    handed = f"if {t} == ALL:\n shares(launcher, {threads}, ({given}))\n return"
    definition.body[:0] = ast.parse(before + handed).body
    exec(compile(module, code.co_filename, "exec"), names)
    made: Function = names[name]
    return made


@emitted
def _call_share(typing, share, t, threads, arguments):
    """Call the function at the address `share`."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        b.call(b.inttoptr(args[0], SHARE.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@partial(kept, parallel=host.PARALLEL)
def _launch(share, threads, arguments):
    for t in prange(threads):
        _call_share(share, t, threads, arguments)


@cache
def _launcher() -> int:
    """The address of `_launch`, compiled as a C function: void (share, threads, arguments)."""
    three = (types.intp,) * 3
    _launch.compile(three)
    code = _launch.overloads[three]
    address: int = code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)
    return address


@emitted
def _shares(typing, launcher, threads, args):
    """In a function f(launcher, t, threads, *args): call f for each t; by the launcher, if there are several."""
    if threads != types.intp:  # f is called with one below
        raise TypingError(f"a kernel's number of threads must be an int, got {threads}")

    def generate(context: Any, b: ir.IRBuilder, signature: Any, values: Sequence[Any]) -> Any:
        launcher, threads, packed = values
        number = types.intp
        # f as the launcher calls it: its arguments are read from where this call keeps them.
        share = ir.Function(b.module, SHARE, f"{b.function.name}.share")
        share.linkage = "internal"
        inside = ir.IRBuilder(share.append_basic_block())
        t, count, place = share.args
        given = inside.load(inside.inttoptr(place, packed.type.as_pointer()))
        numbers = [ir.Constant(INT, 0), t, count]
        unpacked = [inside.extract_value(given, i) for i in range(len(args.types))]
        context.call_conv.call_function(
            inside, b.function, types.none, [number, number, number, *args.types], [*numbers, *unpacked]
        )
        inside.ret_void()

        place = b.ptrtoint(cgutils.alloca_once_value(b, packed), INT)
        with b.if_else(b.icmp_signed(">", threads, ir.Constant(INT, 1))) as (several, one):
            with several:
                b.call(b.inttoptr(launcher, SHARE.as_pointer()), [b.ptrtoint(share, INT), threads, place])
            with one:
                b.call(share, [ir.Constant(INT, 0), threads, place])
        return context.get_dummy_value()

    return types.void(launcher, threads, args), generate
