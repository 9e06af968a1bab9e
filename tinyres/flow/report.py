"""Results as tables in the terminal, as PNG and as JSON."""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path
from typing import Any

from tinyres.flow.experiment import Law, Options, Result


def figure_text(value: float) -> str:
    """Four significant digits; rounding errors are 0."""
    return f"{value if abs(value) > 1e-11 else 0:.4g}"


def tables(results: list[Result]) -> list[Any]:
    """The tables that have rows."""
    laws = [law for result in results for law in result.laws]
    theory, checks = ([law for law in laws if (law.kind == "check") is check] for check in (False, True))
    runs = [run for result in results for run in result.training]
    made = [laws_table(theory)] if theory else []
    made += [check_table(checks)] if checks else []
    return made + ([training_table(runs)] if runs else [])


def laws_table(laws: list[Law]) -> Any:
    """Measured beside predicted, a verdict a row."""
    from rich.table import Table

    table = Table(title="Laws at initialisation: measured against theory", title_justify="left")
    table.add_column("law", overflow="fold")
    for column in ("measured", "predicted", ""):
        table.add_column(column, justify="right", no_wrap=True)
    table.caption = (
        "E2: ln of the squared gradient's factor a layer in plain nets, s_w² the variance of the weights times the "
        "width. E3: what 10 blocks y = skip x + branch F(x) multiply the squared signal (forward) or gradient "
        "(backward) by."
    )
    table.caption_justify = "left"
    for law in laws:
        wanted = f"> {figure_text(law.predicted + law.tolerance)}"
        if law.kind != "ordering":
            wanted = f"{figure_text(law.predicted)} ± {law.tolerance:.2g}"
        verdict = "[green]holds[/]" if law.ok else "[bold red]FAILS[/]"
        table.add_row(law.name, figure_text(law.measured), wanted, verdict)
    return table


def check_table(laws: list[Law]) -> Any:
    """Reverse mode beside finite differences."""
    from rich.table import Table

    title = "Are the gradients true? d loss along a random direction of each parameter of block 1"
    table = Table(title=title, title_justify="left")
    for column in ("parameter", "reverse mode", "differences", "gap", ""):
        table.add_column(column, justify="left" if column == "parameter" else "right", no_wrap=True)
    for law in laws:
        relative = abs(law.measured - law.predicted) / max(abs(law.predicted), 1e-300)
        verdict = "[green]agrees[/]" if law.ok else "[bold red]DIFFERS[/]"
        table.add_row(law.name, f"{law.measured:.9g}", f"{law.predicted:.9g}", f"{relative:.1e}", verdict)
    return table


def training_table(runs: list[dict[str, Any]]) -> Any:
    """Who trains and who does not."""
    from rich.table import Table

    table = Table(title="Real digits: who trains?", title_justify="left")
    for column in ("net", "layers", "loss", "accuracy", "first/last", "skip", ""):
        table.add_column(column, justify="left" if column in ("net", "") else "right", no_wrap=True)
    table.caption = (
        f"loss: training loss, mean of the last tenth of {runs[0]['steps']} steps; it 'trains' below "
        f"{runs[0]['trains_below']:.2f}, a quarter of guessing's. accuracy: on the test set. first/last: norm of the "
        "gradient at the first block's output over the last block's, at the first step. skip: |skip| / (|skip| + "
        "|branch|) of what comes back to a block's input, mean over blocks."
    )
    table.caption_justify = "left"
    for run in runs:
        first = run["gradient_norm"][0]
        share = sum(run["skip_share"][0]) / len(run["skip_share"][0]) if run["skip_share"] else None
        table.add_row(
            run["arch"],
            str(run["depth"]),
            f"{run['final_train_loss']:.3f}",
            f"{run['test_accuracy']:.1%}",
            figure_text(first[0] / first[-1]),
            "-" if share is None else f"{share:.0%}",
            "[green]trains[/]" if run["trains"] else "[bold red]does not[/]",
        )
    return table


def save_figures(results: list[Result], folder: Path) -> list[Path]:
    """Each figure as folder/NAME.png."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, draw in [item for result in results for item in result.figures.items()]:
        figure = Figure(figsize=(11, 5), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        path = folder / f"{name}.png"
        figure.savefig(path, metadata={"Software": None})  # the same seed gives the same file
        written.append(path)
    return written


def versions() -> dict[str, str]:
    """What the figures were computed with."""
    import numpy

    import tinyres

    return {"tinyres": tinyres.__version__, "numpy": numpy.__version__, "python": platform.python_version()}


def save_json(results: list[Result], options: Options, names: list[str], seconds: dict[str, float], path: Path) -> None:
    """Everything but the pictures. The same seed gives the same file, `seconds` aside."""
    document = {
        "laws": [law.to_json() for result in results for law in result.laws],
        "training": [run for result in results for run in result.training],
        "seed": options.seed,
        "options": {"experiments": names, "depths": options.depths, "archs": options.archs, "steps": options.steps},
        "versions": versions(),
        "seconds": seconds,
    }
    path.write_text(json.dumps(_finite(document), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no Inf: they become null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
