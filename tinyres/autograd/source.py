"""The source of the function that calls an operation.

An operation on tiny arrays costs as much as the Python around it. So everything that is the same at each call (how many
inputs there are, what the rules want saved) is worked out once, and written as the source of a function. What that
function does is `record` in `reference.py`; a test compares the two. For `neg(x)`, this is the whole of it:

    def call(x):
        try:
            if type(x) is ndarray:                      # arrays in, array out: how rules call operations
                return forward(x)
            tensors = wanted = 0                        # bit sets: inputs that are tensors; that want a gradient
            x_node = None
            if isinstance(x, Tensor):
                tensors += 1
                x_node = x.node
                x = x._data
                if x_node is not None:
                    wanted += 1
            if not tensors:                             # numbers, or arrays of another library
                return forward(x)
        except FAILED as error:
            blame_input(primitive, error, (x,))
            raise
        ambient = current()
        try:
            y = forward(x)
        except FAILED as error:
            raise explain(error, (x,)) from error
        if type(y) is not ndarray and isinstance(y, generic):
            y = asarray(y)                              # NumPy makes scalars of arrays without axes
        if ambient.observers:
            for observer in ambient.observers:
                observer.on_call(primitive, (x,), (x_node,), y)
        if not wanted or not ambient.recording or not primitive.differentiable:
            return wrap(y)
        try:
            plan = plans[wanted]
        except KeyError:
            plan = plans[wanted] = make_plan(wanted)
        saved = plan.save(y, None, x)
        node = Node()                                   # make_node(...), without the call
        node.primitive = primitive
        node.parents = (x_node,)
        node.plan = plan
        node.saved = saved
        node.shape = y.shape
        node.dtype = y.dtype
        node.path = ambient.path
        node.kernels = ambient.kernels
        node.roles = node.owner = node.line = None
        node.serial = next_serial()
        if ambient.observers:
            for observer in ambient.observers:
                observer.on_forward(node, y)
        result = new(Tensor)                            # wrap(y, node), without the call
        result._data = y
        result.node = node
        result.grad = None
        return result
"""

from __future__ import annotations

import inspect

from tinyres.autograd.primitive import Primitive

_CALL = """
def call({signature}):{refusal}
    try:
        if {arrays}:
            return forward({passed}){first}
        tensors = wanted = 0
        {chain} = None
        {unwrap}
        if not tensors:
            return forward({passed}){first}
    except FAILED as error:
        blame_input(primitive, error, ({inputs},))
        raise
    {operands}
    ambient = current()
    try:
        {result} = forward({passed})
    except FAILED as error:
        raise explain(error, ({inputs},)) from error
    if type(y) is not ndarray and isinstance(y, generic):
        y = asarray(y)
    if ambient.observers:
        for observer in ambient.observers:
            observer.on_call(primitive, ({inputs},), ({nodes},), y)
    if not wanted or not ambient.recording or not primitive.differentiable:
        return wrap(y)
    try:
        plan = plans[wanted]
    except KeyError:
        plan = plans[wanted] = make_plan(wanted)
    {save}
    node = Node()
    node.primitive = primitive
    node.parents = ({nodes},)
    node.plan = plan
    node.saved = saved
    node.shape = y.shape
    node.dtype = y.dtype
    node.path = ambient.path
    node.kernels = ambient.kernels
    node.roles = node.owner = node.line = None
    node.serial = next_serial()
    if ambient.observers:
        for observer in ambient.observers:
            observer.on_forward(node, y)
    result = new(Tensor)
    result._data = y
    result.node = node
    result.grad = None
    return result
"""

_UNWRAP = """
        if isinstance({x}, Tensor):
            tensors += {bit}
            {x}_node = {x}.node
            {x} = {x}._data
            if {x}_node is not None:
                wanted += {bit}"""
_OPERAND = """
        if not tensors & {bit} and type({x}) is not float:
            {x} = operand({x}, primitive.name)"""
_SAVE = """saved = plan.save(y, {aux}, {inputs}{statics})"""
_SAVE_MIXED = """
    if tensors == {all}:
        saved = plan.save(y, {aux}, {inputs}{statics})
    else:  # an array that is not a tensor's belongs to the caller, who may write into it before the backward pass
        callers = plan.saves & ~tensors
        saved = plan.save(y, {aux}, {snapshots}{statics})"""


_REFUSAL = """
    if {extra} is not None:
        refuse({extra}={extra})"""


def call_source(primitive: Primitive, inputs: list[str], extra: str = "") -> str:
    """The source of the function that calls `primitive` on inputs of these names; `extra` is an argument to refuse."""
    statics = list(primitive.statics)
    required = inspect.Parameter.empty
    keywords = [s if value is required else f"{s}=default_{s}" for s, value in primitive.statics.items()]
    every = (1 << len(inputs)) - 1
    several = len(inputs) > 1  # a single input is a tensor, or there is nothing to record
    operands = "".join(_OPERAND.format(x=x, bit=1 << i) for i, x in enumerate(inputs))
    save = (_SAVE_MIXED.lstrip() if several else _SAVE).format(
        all=every,
        inputs=", ".join(inputs),
        aux="aux" if primitive.aux else "None",
        statics="".join(f", {s}" for s in statics),
        snapshots=", ".join(f"snapshot({x}) if callers & {1 << i} else {x}" for i, x in enumerate(inputs)),
    )
    return _CALL.format(
        signature=", ".join([*inputs, *([f"{extra}=None"] if extra else []), *(["*", *keywords] if statics else [])]),
        refusal=_REFUSAL.format(extra=extra) if extra else "",
        nodes=", ".join(f"{x}_node" for x in inputs),
        chain=" = ".join(f"{x}_node" for x in inputs),
        arrays=" and ".join(f"type({x}) is ndarray" for x in inputs),
        unwrap="".join(_UNWRAP.format(x=x, bit=1 << i) for i, x in enumerate(inputs)).lstrip(),
        operands=f"if tensors != {every}:{operands}" if several else "",
        save=save,
        passed=", ".join([*inputs, *(f"{s}={s}" for s in statics)]),
        first="[0]" if primitive.aux else "",
        result="y, aux" if primitive.aux else "y",
        inputs=", ".join(inputs),
    )


__all__ = ["call_source"]
