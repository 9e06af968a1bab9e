"""`python -m tinyres.bench.gpu PART FOLDER`: one part of the report, its rows added to a file in the folder."""

import sys
from pathlib import Path

from tinyres.bench.gpu import parts


def main(name: str, folder: str) -> None:
    for row in parts.run(name):
        parts.write(row, Path(folder))
        print(row["name"], row.get("error", ""), flush=True)
        print(row.get("traceback", ""), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
