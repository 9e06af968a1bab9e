"""Scripts for PyTorch, and the same after their imports were replaced: nothing else changes.

Each file of `scripts` has `build()`, which makes the model or the models, and `train(model, steps, randn)`, which
returns the losses and what else it measured. What is random in the data comes from `randn`.
"""

import re
import types
from pathlib import Path

import numpy as np

SCRIPTS = {path.stem: path for path in sorted((Path(__file__).parent / "scripts").glob("*.py"))}
IMPORTS = [
    (re.compile(r"^import torch$", re.M), "import tinyres as torch"),
    (re.compile(r"^(import|from) torch\b", re.M), r"\1 tinyres"),
]


def ported(source):
    """The source with `import torch` replaced by `import tinyres as torch`, `torch.nn` by `tinyres.nn`, and so on."""
    for found, replacement in IMPORTS:
        source = found.sub(replacement, source)
    return source


def module_of(source, name):
    """A module with this source."""
    module = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


def drawn(library, dtype, seed=0):
    """`randn` of a library with numbers that NumPy draws."""
    rng = np.random.default_rng(seed)
    return lambda *size: library.from_numpy(rng.standard_normal(size).astype(dtype))
