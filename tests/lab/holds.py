"""An experiment run as the command runs it."""

import json

from tinyres.lab import report
from tinyres.lab.registry import EXPERIMENTS, Options, Result


def holds(name: str, folder, undecided: str = "") -> Result:
    """Every law's verdict, the length of the progress bar, the pictures and the file; returns what was found.

    `undecided` is a law whose figure lies so near its limit that rounding decides; a test of its own judges it.
    """
    experiment, options, ticks = EXPERIMENTS[name], Options(), []
    result = experiment.run(options, lambda: ticks.append(1))
    assert [law.name for law in result.laws if not law.ok and law.name != undecided] == []
    assert not undecided or undecided in [law.name for law in result.laws]
    assert len(ticks) == experiment.ticks(options), "the progress bar is to reach its end, and no further"
    assert result.found.endswith("."), "a sentence that tells what was found"
    written = report.save(experiment, result, options, 0.0, folder)
    assert len(written) == 1 + len(result.figures)
    assert json.loads(written[0].read_text())["name"] == name
    return result
