"""The classifier that judges images of digits, trained once in a run of the suite."""

from pathlib import Path

from tests.kernels.cuda.once import within_run
from tinyres.gan import metrics


def trained_judge(tmp_path_factory) -> Path:
    """The folder that holds its file."""

    def train():
        folder, steps = tmp_path_factory.mktemp("judge"), []
        metrics.classifier("digits", 0, folder=folder, tick=lambda step, total: steps.append((step, total)))
        assert [step for step, _ in steps] == list(range(1, steps[-1][1] + 1))
        return str(folder)

    return Path(within_run(tmp_path_factory, "judge", train))
