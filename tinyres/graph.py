"""compile: a training step as a CUDA graph, captured once and then launched as a whole.

A step of a small net is hundreds of kernels, and the host needs microseconds to launch each: the GPU waits for the
host. CUDA can capture the work given to a stream in a *graph* and launch it all at once. What it captures is addresses
and numbers, and no Python. So a captured step must find its data at the same addresses each time, leave its results
there, and read from memory whatever changes from step to step:

    inputs                                       are copied into fixed arrays before each launch
    parameters, buffers, an optimiser's moments  are copied, at the graph's end, into the arrays that it reads
    the learning rate, Adam's factors            are read from an array that the host writes before each launch
    arrays allocated inside                      come from a memory pool that belongs to the graph

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
from tinyres.refusals.arguments import explain_words

Holder: TypeAlias = Module | KernelOptimizer  # holds arrays that a step changes
MEND = "Without tr.compile the step runs as it is"
WARM_UP = 2  # eager steps before a capture, after which all kernels are loaded and an optimiser has its moments


@explain_words
def compile(step: Callable[..., Any], *held: Holder) -> Step:
    """Capture a training step in a CUDA graph, if its tensors are on a GPU. On the CPU it runs unchanged.

        step = tr.compile(step, model, optimizer)
        for images, labels in batches:
            loss = step(images, labels)

    Each call is one step, as without `compile`. The first calls run as usual, then one is captured. After that the
    step's Python code does not run again, so it no longer prints, counts or appends anything. Whatever changes from
    call to call must be an argument, a parameter or buffer of a module in `held`, or the learning rate of an optimiser
    in `held`. A new shape of the inputs, another mode (`model.eval()`) or other settings of an optimiser are captured
    once each.

    Args:
        step: takes tensors on the GPU; returns a tensor, a tuple or list of them, or None. It calls `zero_grad()`
            before `backward()`.
        held: all modules and optimisers whose parameters, buffers and moments the step changes.

    Raises (when the step is captured):
        RuntimeError: it reads a value on the host (`item()`, a branch on a tensor), or copies numbers from the host to
            the GPU, as Dropout does with its random numbers: each launch would use the same ones.
        TypeError: an input or a result is not a tensor, or `held` holds something else.
    """
    for holder in held:
        if not isinstance(holder, (Module, KernelOptimizer)):
            raise TypeError(
                f"compile: got a {type(holder).__name__} after the step, needed modules and optimisers that have "
                "kernels: SGD, Adam, AdamW, RMSprop"
            )
    if not held:
        raise TypeError(
            "compile: needs the modules and optimisers that the step changes, as in compile(step, model); a model by "
            "itself runs as it is: delete torch.compile(model)"
        )
    return Step(step, held)


class Step:
    """What `compile` returns: it is called like the step itself."""

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
    """Where an array is kept from one step to the next."""

    read: Callable[[], Any]
    write: Callable[[Any], None]


def places(held: Sequence[Holder]) -> Iterator[Place]:
    """The places of all parameters, buffers, and arrays in the state of an optimiser."""
    for holder in held:
        if isinstance(holder, Module):
            for tensor in (*holder.parameters(), *holder.buffers()):
                yield Place(partial(getattr, tensor, "data"), partial(rebind, tensor))
        else:
            for state in holder.state:
                for name in [name for name, value in state.items() if hasattr(value, "shape")]:
                    yield Place(partial(state.__getitem__, name), partial(state.__setitem__, name))


def _kind(inputs: Sequence[Tensor], held: Sequence[Holder]) -> tuple[Any, ...]:
    """What a graph is specialised to: shapes, modes, settings. Each kind has its own capture."""
    shapes = tuple((given.shape, str(given.dtype)) for given in inputs)
    modes = tuple(module.training for holder in held if isinstance(holder, Module) for module in holder.modules())
    optimizers = [holder for holder in held if isinstance(holder, KernelOptimizer)]
    groups = [(o, group) for o in optimizers for group in o.param_groups]
    settings = tuple((name, group[name]) for o, group in groups for name in o.settings if name != "lr")
    begun = tuple(bool(state) for o in optimizers for state in o.state)
    return shapes, modes, settings, begun, current().kernels, current().recording


class Graph:
    """One captured step and its memory."""

    def __init__(self, step: Callable[..., Any], held: Sequence[Holder], inputs: Sequence[Tensor]):
        self._cupy = cupy = namespace(next(places(held)).read())
        self._stream = cupy.cuda.Stream(non_blocking=True)  # CUDA captures no work of the default stream
        self._pool = cupy.cuda.MemoryPool()  # memory that the step frees is written again by the next launch
        self._inputs = [raw(given).copy() for given in inputs]
        self._places = list(places(held))
        self._fixed = [place.read() for place in self._places]
        self._steps = 0  # to be added to the optimisers' counts before the next launch: the capture counts the first
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
                    if go:  # the next launch reads it there
                        self._cupy.copyto(fixed, new)
                        place.write(fixed)
        except BaseException:
            with suppress(Exception):  # the error may have ended the capture already
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
                if now is not fixed:  # another array was assigned since, by loading a checkpoint, say
                    self._cupy.copyto(fixed, now)
                    place.write(fixed)
            for optimizer, launches in self._updates:
                optimizer.prepare(launches, self._steps)
            self._steps = 1
            self._graph.launch(self._stream)
            return _each(self._results, lambda result: wrap(raw(result).copy()))


@contextmanager
def _following(cupy: Any, stream: Any) -> Iterator[None]:
    """Inside the block work goes to `stream`: after all earlier work of the current stream, before all later."""
    current_stream = cupy.cuda.get_current_stream()
    stream.wait_event(current_stream.record())
    with stream:
        yield
    current_stream.wait_event(stream.record())


class _Outside:
    """Stands in for a gradient from before the step, and refuses to be read."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("it reads a gradient from before the step: call zero_grad() before backward()")

    def __add__(self, other: Any) -> Any:
        return self.data


@contextmanager
def _alone(cupy: Any, held: Sequence[Holder]) -> Iterator[None]:
    """Refuse copies from the host and gradients from before the step: a launch would see the same values each time."""

    def refuse(size: int) -> Any:
        raise RuntimeError(
            f"it copies {size} bytes from the host to the GPU, and each launch would see the same ones: pass what "
            "changes to the step as a tensor; numbers drawn on the host, as in Dropout, cannot be captured"
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
    """Apply the function to every tensor that a step returned, keeping the structure of lists and tuples."""
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
