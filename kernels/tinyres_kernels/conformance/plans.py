"""For every plan of the compiled kernels a case, and for every limit the cases beside it.

A plan is the way that a kernel goes at some sizes (`cpu.explain`). Limits say what is fast, not what is right. So the
ordinary suite lowers them (`SMALL`): every plan is then reached at sizes that take milliseconds. `suite(full=True)`
takes the limits as they are, too, and other numbers of threads; `layers` takes the sizes of real nets.
"""

from collections.abc import Iterator, Sequence

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.layers import LAYERS, Layer
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.plan_search import Found, Limits, cost, explained, search
from tinyres_kernels.conformance.search import DTYPES

SMALL: Limits = (
    ("images_bytes", 16 * 1024),
    ("product_channels", 5),
    ("product_share", 4),
    ("strided_band", 32 * 1024),
    ("strided_channels", 5),
    ("strided_outputs", 20),
    ("winograd_channels", 5),
    ("winograd_outputs", 5),
    ("winograd_tiles", 12),
    ("winograd_work", 1e4),
    ("worth_a_thread", 2e4),
)
ALONE: Limits = tuple(sorted({**dict(SMALL), "worth_a_thread": 1e12}.items()))  # what is one thread's at any size


def suite(full: bool = False, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES) -> Iterator[Found]:
    """All cases, each once. In the ordinary suite with low limits on two threads, and of what that leaves out (one
    thread at any size, plans of large sizes alone) a case of each plan. In full with the limits as they are, too, on
    other numbers of threads, and above every limit. What only the sizes of real nets meet is taken from them."""
    scopes: list[tuple[Limits, int, int]] = [(SMALL, 2, 2), (ALONE, 2, 5), ((), 2, 0)]
    if full:
        scopes = [(SMALL, 2, 1), (SMALL, 3, 1), ((), 2, 1), ((), 1, 1), ((), 7, 1)]
    for op in ops:
        for dtype in dtypes:
            names: set[str] = set()
            for limits, threads, every in scopes:
                seen = set()
                for found in search(op, dtype, limits, threads, every):
                    key = repr(found.case.structure)
                    beside = limits is SMALL and not found.why.startswith("above")
                    if key not in seen and (full or beside or not found.plan.names <= names):
                        seen.add(key)
                        names |= found.plan.names
                        yield found
            for found in sorted(layers(True, [op], [dtype]), key=lambda found: cost(found.case)):
                if not found.plan.names <= names:
                    names |= found.plan.names
                    yield found


def layers(full: bool = False, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES) -> Iterator[Found]:
    """The layers of well-known nets, with all limits as they are. In full: in both dtypes, on one thread and two, for
    batches of 1, 2, 3 and what fills the cache. Else each once, and of small images a sixteenth of the others."""
    nets = {layer: name for name, known in reversed(LAYERS.items()) for layer in known}
    for number, (layer, name) in enumerate(nets.items()):
        for op in (op for op in ops if op.startswith("conv2d")):
            for dtype in dtypes:
                for threads in (1, 2):
                    for N in dict.fromkeys((1, 2, 3, _filling(op, layer, dtype, threads))):
                        once = (dtype, threads, N) == ("float32", 2, 1)
                        some = layer.H <= 32 and (number + N + DTYPES.index(dtype) + threads) % 16 == 0
                        if full or once or some:
                            case = Case(OPS[op], f"a layer of {name}", layer.structure(N), dtype)
                            yield Found(case, explained(case, threads=threads), f"of {name}", (), threads)


def _filling(op: str, layer: Layer, dtype: str, threads: int) -> int:
    """A batch that is cut into several turns, since a thread's cache does not hold it."""
    for batch in (5, 9, 17, 33):
        plan = explained(Case(OPS[op], "", layer.structure(batch), dtype), threads=threads)
        if "several turns" in {end for _, end in plan.met}:
            return batch
    return 65 if layer.H <= 16 else 33
