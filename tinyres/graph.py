"""A training step as a CUDA graph: recorded once, and from then on launched as a whole.

A step of a small net is hundreds of kernels, each of which the host launches in microseconds: the GPU waits for it.
CUDA can record what a stream is given, a *graph*, and launch all of it at once. What it records is addresses and
numbers, nothing of Python. So a captured step has to find its data where it was, leave its results there, and learn
what changes from step to step by reading memory:

    inputs                                       are copied into arrays of the graph's own before each launch
    parameters, buffers, an optimiser's moments  are copied, at the graph's end, into the arrays that it reads
    the learning rate, Adam's factors            are read from an array that the host writes before each launch
    what is allocated inside                     comes from a memory pool that belongs to the graph

NVIDIA, "CUDA C++ Programming Guide", section "CUDA Graphs".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

from tinyres.arrays import device_of, namespace
from tinyres.autograd.tensor import Tensor, raw, rebind, wrap
from tinyres.context import current
from tinyres.nn import Module
from tinyres.optim.optimizer import Captured, KernelOptimizer

Holder: TypeAlias = Module | KernelOptimizer  # of what a step changes
MEND = "Without tr.compile the step runs as it is"
WARM_UP = 2  # eager steps before a capture: then all kernels are loaded, and an optimiser has its moments


def compile(step: Callable[..., Any], *held: Holder) -> Step:
    """The step, captured into a CUDA graph once its tensors are on a GPU. On the CPU it stays as it is.

        step = tr.compile(step, model, optimizer)
        for images, labels in batches:
            loss = step(images, labels)

    Each call is one step, as without `compile`. The first calls run as usual, one is captured, and from then on Python
    does not run: what the step prints, counts or appends happens no more. Whatever changes from call to call must be an
    argument, a parameter or buffer of a module in `held`, or the learning rate of an optimiser in `held`. Inputs of
    another shape, another mode (`model.eval()`) and other settings of an optimiser are captured anew, each once.

    Args:
        step: takes tensors on the GPU; returns a tensor, a tuple or list of them, or None. It calls `zero_grad()`
            before `backward()`.
        held: all modules and optimisers whose parameters, buffers and moments the step changes.

    Raises (when the step is captured):
        RuntimeError: it reads a value on the host (`item()`, a branch on a tensor), or brings numbers of the host to
            the GPU, as Dropout does for what it draws: each launch would use the same ones.
        TypeError: an input or a result is no tensor, or `held` holds something else.
    """
    for holder in held:
        if not isinstance(holder, (Module, KernelOptimizer)):
            raise TypeError(
                f"compile: got a {type(holder).__name__} after the step, needed modules and optimisers that have "
                "kernels: SGD, Adam, AdamW, RMSprop"
            )
    if not held:
        raise TypeError("compile: needs the modules and optimisers that the step changes, as in compile(step, model)")
    return Step(step, held)


class Step:
    """What `compile` returns: called as the step itself is."""

    def __init__(self, step: Callable[..., Any], held: Sequence[Holder]) -> None:
        self._step, self._held = step, held
        self._graphs: dict[Any, Graph] = {}
        self._seen = Counter[Any]()

    def __call__(self, *inputs: Any) -> Any:
        first = next(places(self._held), None)
        if first is None or device_of(first.read()) == "cpu":
            return self._step(*inputs)
        for i, given in enumerate(inputs):
            if not isinstance(given, Tensor) or given.device != "cuda":
                what = f"one on {given.device}" if isinstance(given, Tensor) else f"a {type(given).__name__}"
                raise TypeError(
                    f"compile: input {i} must be a tensor on the GPU, got {what}; tensor.to('cuda') moves it"
                )
        kind = _kind(inputs, self._held)
        if kind not in self._graphs:
            self._seen[kind] += 1
            if self._seen[kind] <= WARM_UP:
                return self._step(*inputs)
            self._graphs[kind] = Graph(self._step, self._held, inputs)
        return self._graphs[kind](inputs)


class Place(NamedTuple):
    """Where an array is kept from step to step."""

    read: Callable[[], Any]
    write: Callable[[Any], None]


def places(held: Sequence[Holder]) -> Iterator[Place]:
    """Of every parameter, every buffer, and every array that an optimiser keeps."""
    for holder in held:
        if isinstance(holder, Module):
            for tensor in (*holder.parameters(), *holder.buffers()):
                yield Place(partial(getattr, tensor, "data"), partial(rebind, tensor))
        else:
            for state in holder.state:
                for name in [name for name, value in state.items() if hasattr(value, "shape")]:
                    yield Place(partial(state.__getitem__, name), partial(state.__setitem__, name))


def _kind(inputs: Sequence[Tensor], held: Sequence[Holder]) -> tuple[Any, ...]:
    """What a graph holds for: another one needs a capture of its own."""
    shapes = tuple((given.shape, str(given.dtype)) for given in inputs)
    modes = tuple(module.training for holder in held if isinstance(holder, Module) for module in holder.modules())
    optimizers = [holder for holder in held if isinstance(holder, KernelOptimizer)]
    settings = tuple((name, getattr(o, name)) for o in optimizers for name in o.settings if name != "lr")
    begun = tuple(bool(state) for o in optimizers for state in o.state)
    return shapes, modes, settings, begun, current().kernels, current().recording


class Graph:
    """One captured step, and the memory that it works on."""

    def __init__(self, step: Callable[..., Any], held: Sequence[Holder], inputs: Sequence[Tensor]):
        self._cupy = cupy = namespace(next(places(held)).read())
        self._stream = cupy.cuda.Stream(non_blocking=True)  # CUDA captures no work of the default stream
        self._pool = cupy.cuda.MemoryPool()  # what the step frees, nobody else may have: it is written to again
        self._inputs = [raw(given).copy() for given in inputs]
        self._places = list(places(held))
        self._fixed = [place.read() for place in self._places]
        self._steps = 0  # that the optimisers have to count before the next launch: the first is counted in the capture
        optimizers = [holder for holder in held if isinstance(holder, KernelOptimizer)]
        self._updates: list[tuple[KernelOptimizer, list[Captured]]] = [(optimizer, []) for optimizer in optimizers]
        counts = [[dict(state) for state in optimizer.state] for optimizer in optimizers]
        try:
            with _following(cupy, self._stream), _alone(cupy, held):
                self._capture(step)
        except BaseException as error:
            for place, fixed in zip(self._places, self._fixed, strict=True):
                place.write(fixed)
            for optimizer, before in zip(optimizers, counts, strict=True):
                for state, was in zip(optimizer.state, before, strict=True):
                    state.update(was)
            if isinstance(error, TypeError) or not isinstance(error, Exception):
                raise
            raise RuntimeError(f"compile: the step could not be captured: {error}. {MEND}") from error

    def _capture(self, step: Callable[..., Any]) -> None:
        relaxed = self._cupy.cuda.runtime.streamCaptureModeRelaxed  # the pool may ask for memory meanwhile
        for optimizer, launches in self._updates:
            optimizer.captured = launches
        self._stream.begin_capture(relaxed)
        try:
            with self._cupy.cuda.using_allocator(self._pool.malloc):
                self._results = step(*map(wrap, self._inputs))
                _each(self._results, lambda result: result)
                shared = set(map(id, self._fixed))  # one tensor may have been given the array of another
                found = [place.read() for place in self._places]
                moved = [new is not fixed for new, fixed in zip(found, self._fixed, strict=True)]
                found = [new.copy() if go and id(new) in shared else new for new, go in zip(found, moved, strict=True)]
                for place, fixed, new, go in zip(self._places, self._fixed, found, moved, strict=True):
                    if go:  # the next launch looks for it there
                        self._cupy.copyto(fixed, new)
                        place.write(fixed)
        except BaseException:
            with suppress(Exception):  # it may have been ended by what went wrong
                self._stream.end_capture()
            raise
        finally:
            for optimizer, _ in self._updates:
                optimizer.captured = None
        self._graph = self._stream.end_capture()

    def __call__(self, inputs: Sequence[Tensor]) -> Any:
        with _following(self._cupy, self._stream):
            for own, given in zip(self._inputs, inputs, strict=True):
                self._cupy.copyto(own, raw(given))
            for place, fixed in zip(self._places, self._fixed, strict=True):
                now = place.read()
                if now is not fixed:  # something else was put there since, a checkpoint say
                    self._cupy.copyto(fixed, now)
                    place.write(fixed)
            for optimizer, launches in self._updates:
                optimizer.prepare(launches, self._steps)
            self._steps = 1
            self._graph.launch(self._stream)
            return _each(self._results, lambda result: wrap(raw(result).copy()))


@contextmanager
def _following(cupy: Any, stream: Any) -> Iterator[None]:
    """Work on this stream, after what the current one was given, and before what it will be."""
    current_stream = cupy.cuda.get_current_stream()
    stream.wait_event(current_stream.record())
    with stream:
        yield
    current_stream.wait_event(stream.record())


class _Outside:
    """Stands for a gradient from before the step."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("it reads a gradient from before the step: call zero_grad() before backward()")

    def __add__(self, other: Any) -> Any:
        return self.data


@contextmanager
def _alone(cupy: Any, held: Sequence[Holder]) -> Iterator[None]:
    """Inside, nothing comes from the host, and no gradient from outside: a launch would find it as it was once."""

    def refuse(size: int) -> Any:
        raise RuntimeError(
            f"it brings {size} bytes from the host to the GPU, where each launch would find the same ones: hand what "
            "changes to the step as a tensor; what is drawn on the host, as Dropout does, cannot be captured"
        )

    leaves = [
        p for holder in held for p in (holder.params if isinstance(holder, KernelOptimizer) else holder.parameters())
    ]
    before = [(p, p.grad) for p in leaves]
    for p, grad in before:
        if grad is not None:
            p.grad = _Outside()  # type: ignore[assignment]
    cupy.cuda.set_pinned_memory_allocator(refuse)
    done = False
    try:
        yield
        done = True
    finally:
        cupy.cuda.set_pinned_memory_allocator(cupy.get_default_pinned_memory_pool().malloc)
        for p, grad in before:
            if not done or isinstance(cast(object, p.grad), _Outside):  # the step failed, or left it alone
                p.grad = grad


def _each(results: Any, function: Callable[[Tensor], Any]) -> Any:
    """The function of every result; what a step returns has the same form each time."""
    if results is None:
        return None
    if isinstance(results, (tuple, list)):
        return type(results)(_each(result, function) for result in results)
    if not isinstance(results, Tensor):
        raise TypeError(
            f"compile: the step must return a tensor, a tuple or list of them, or None, got {type(results).__name__}"
        )
    return function(results)


__all__ = ["Step", "compile"]
