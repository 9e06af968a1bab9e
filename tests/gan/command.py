"""The command on a small recipe."""

from tinyres.cli import main

SMALL = ("--data", "ring8", "--width", "8", "--batch-size", "64", "--method", "nonsaturating")
PICTURES = [
    "interpolations.png", "samples.png", "samples-dark.png", "samples-narrow.png", "samples-narrow-dark.png",
    "training.png", "training-dark.png", "training-narrow.png", "training-narrow-dark.png",
]  # fmt: skip


def run(capsys, *arguments):
    status = main(["gan", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err
