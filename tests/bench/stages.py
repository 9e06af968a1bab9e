"""What the parts of a GPU report do in tests, and what they left."""

from tinyres.bench.gpu import parts

START = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from threading import Event
out = Path(sys.argv[2])
def write(**row):  # as `parts.write`, which takes a second to import
    with (out / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"part": sys.argv[1], **row}) + "\\n")
"""
OPEN = "write(name='gate', open=True, **{'shut by': []})"
SHUT = """
write(name='CuPy computes', needed=True, seconds=1.0)
write(name='a first launch', needed=True, seconds=1.0, error='RuntimeError: ILLEGAL_ADDRESS')
write(name='gate', open=False, **{'shut by': ['a first launch']})
"""
ENDS = {"smoke": OPEN}  # what each part does; the others do nothing


def errors(out):
    return {row["part"]: row["error"] for row in parts.read(out) if "error" in row}


def begun(out):
    return {row["part"] for row in parts.read(out)} & set(parts.PARTS)
