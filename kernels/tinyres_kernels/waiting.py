"""Whoever wants to tell a person that the compiler is at work puts a function here.

`told(True)` is called where this process begins to compile a kernel, or to wait until another process has compiled it,
and `told(False)` where it has the kernel. In between the same may happen to kernels that it calls. Whoever passes on
what other processes tell says at the end how many kernels it was: `told(False, 7)`.
"""

from collections.abc import Callable

told: Callable[..., object] = lambda begins, kernels=1: None
