"""How an array may lie in memory, and what its values may look like: each a line of Python that makes it so."""

LAYOUTS = {
    "Fortran": "{a} = np.asfortranarray({a})",
    "channels first": "{a} = np.moveaxis(np.moveaxis({a}, -1, 0).copy(), 0, -1)",
    "every second": "{a} = np.repeat({a}, 2, -1)[..., ::2]",
    "part": "{a} = np.insert({a}, {a}.shape[-1], 0, -1)[..., :-1]",
    # Its first element lies in the middle: a kernel that reads on from there gets the same wrong numbers each time.
    "reversed": "{a} = np.flip(np.append(np.flip({a}), {a})[:{a}.size].reshape({a}.shape))",
    "broadcast": "{a} = np.broadcast_to({a}[:1], {a}.shape)",
    "one element on": "{a} = np.append({a}.reshape(-1)[:1], {a})[-{a}.size:].reshape({a}.shape)",
    "misaligned": "{a} = np.frombuffer(b'.' + {a}.tobytes(), {a}.dtype, {a}.size, 1).reshape({a}.shape)",
    "big-endian": "{a} = {a}.astype({a}.dtype.newbyteorder('>'))",
    "read-only": "{a}.flags.writeable = False",
}
# Those that `check` puts to every kernel, and what they are called. In "part" the last axis has no gaps, the rows do.
VIEWS = {
    "Fortran": "transposed", "every second": "every second element", "part": "a part of the columns",
    "reversed": "reversed",
}  # fmt: skip
OF_LINES = ("every second", "reversed")
# The others no GPU's array can have.
ON_DEVICE = ("Fortran", "channels first", "every second", "reversed", "broadcast", "one element on")

CHANGES = {
    "large": "{a} *= 1e15",
    "small": "{a} *= 1e-15",
    "vanishing": "{a} *= 1e-30",
    "many zeros": "{a}[np.random.default_rng(1).random({a}.shape) < 0.7] = 0",
}
ALIKE = "{a}[...] = {a}[:1]"  # before an array is broadcast, so that what is computed from it agrees with it
