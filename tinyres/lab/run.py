"""Run an experiment from Python: `lab.run("E3", m=0.9, a=0.436)`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # experiments need the packages of the extra `lab`; importing tinyres.lab does not
    from tinyres.lab.experiment import Result


def run(name: str, /, *, seed: int = 0, device: str = "cpu", **settings: Any) -> Result:
    """Run one experiment and return its result; `print` shows the laws with measured and predicted numbers.

        print(lab.run("E2", activation="gelu", s_w2=2.0))

    Args:
        name: "E2", "E5", "digits", ...; `tinyres flow --list` shows all.
        seed: random seed.
        device: "cpu" or "cuda", for the nets.
        settings: test the law at these values instead of the experiment's default cases; the others keep their
            defaults.

    Raises:
        KeyError: there is no such experiment.
        SettingError: it has no such setting, or the value is out of range (a ValueError).
        ValueError, RuntimeError: the device does not exist, or this machine has none.
    """
    from tinyres.arrays import check_device
    from tinyres.lab.registry import EXPERIMENTS, Options, chosen

    if name not in EXPERIMENTS:
        near = get_close_matches(name, EXPERIMENTS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(EXPERIMENTS)}"
        raise KeyError(f"no experiment called {name!r}; {hint}")
    check_device(device)
    experiment = EXPERIMENTS[name]
    values = chosen(name, experiment.settings, settings)
    return experiment.run(Options(seed=seed, device=device, settings=values), lambda: None)
