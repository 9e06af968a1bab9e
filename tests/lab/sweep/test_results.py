"""The table on the disk."""

import codecs
import csv
import errno
import io
import math
import os
import re
from dataclasses import replace

import pytest

from tinyres.lab.sweep import Finding, Results, ResultsError
from tinyres.lab.sweep import results as table
from tinyres.training import Recipe

FOUND = Finding("ok", 1 / 3, 0.1 + 0.2, 0.9, 1e-300, 2.0, -math.inf, 12, 5, 0.5)
RECIPES = [Recipe(seed=seed, depth=None if seed else 8, augment=None if seed else True) for seed in range(3)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sweep.csv"
    with Results(path) as results:
        for recipe in RECIPES:
            results.add(recipe, replace(FOUND, parameters=recipe.seed))
    return path


def test_what_is_read_is_what_was_written(path):
    with Results(path) as results:
        assert len(results) == 3
        assert [results[recipe] for recipe in RECIPES] == [replace(FOUND, parameters=seed) for seed in range(3)]
        for other in (replace(RECIPES[0], lr=0.2), replace(RECIPES[0], depth=None), replace(RECIPES[0], augment=False)):
            assert other not in results
        results.add(Recipe(seed=9), replace(FOUND, accuracy=math.nan, status="diverged"))
    with Results(path) as results:
        assert math.isnan(results[Recipe(seed=9)].accuracy)


@pytest.mark.parametrize("cut", [1, 2, 40, 150])
def test_a_torn_last_line_is_dropped(path, cut):
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with Results(path) as results:
        assert [recipe in results for recipe in RECIPES] == [True, True, False]
        results.add(RECIPES[2], replace(FOUND, parameters=2))
    assert path.read_bytes() == whole


def test_a_torn_header_is_none(path):
    whole = path.read_bytes()
    header = whole.split(b"\n")[0]
    for left in (b"", header[:10], header, header + b"\r", codecs.BOM_UTF8 + header[:10]):
        path.write_bytes(left)
        with Results(path) as results:
            assert len(results) == 0
        assert path.read_bytes() == header + b"\n"


def test_sorting_writes_the_file_anew_and_goes_on(path):
    with Results(path) as results:
        results.sort([RECIPES[2], Recipe(seed=77), RECIPES[0]])
        results.add(Recipe(seed=5), FOUND)
    seeds = [line.split(",")[17] for line in path.read_text().splitlines()]
    assert seeds == ["seed", "2", "0", "1", "5"]
    assert [p.name for p in path.parent.iterdir()] == ["sweep.csv"]


def test_a_sort_that_fails_leaves_the_table(path, monkeypatch):
    before = path.read_bytes()
    with Results(path) as results:
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            results.sort(RECIPES[::-1])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["sweep.csv"]


def full_after(path, room):
    """A file that takes `room` bytes more: it takes a part without a word, and only then says why."""

    class Full(io.FileIO):
        left = room

        def write(self, data):
            if not self.left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = super().write(bytes(data)[: self.left])
            self.left -= taken
            return taken

    return Full(path, "ab")


@pytest.mark.parametrize("room", [0, 1, 40, 150, 400])
def test_a_row_that_has_no_room_leaves_no_part_of_itself(path, room):
    before, added = path.read_bytes(), []
    with Results(path) as results:
        results._file.close()
        results._file = full_after(path, room)

        def fill():
            for seed in range(10, 100):
                results.add(Recipe(seed=seed), FOUND)
                added.append(Recipe(seed=seed))

        with pytest.raises(OSError, match="No space left on device"):
            fill()
        refused = Recipe(seed=10 + len(added))
        assert refused not in results
        assert path.read_bytes().startswith(before)
        assert path.read_bytes().count(b"\n") == 4 + len(added)
        assert path.read_bytes().endswith(b"\n")
        results._file.left = 10_000  # there is room again
        results.add(refused, FOUND)
    with Results(path) as results:
        assert all(results[recipe] == FOUND for recipe in (*added, refused))


def test_a_row_that_does_not_reach_the_disk_is_none(path, monkeypatch):
    before = path.read_bytes()

    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Results(path) as results:
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output error"):
            results.add(Recipe(seed=9), FOUND)
        assert Recipe(seed=9) not in results
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"key,arch", b"key,architecture", "another version of tinyres"),
        (b"\n2-", b"\n1-", "line 2 is damaged, edited or from another version"),
        (b",0,5,", b",0,6,", "line 2 is damaged"),  # an edited finding
        (b",0.5,", b",0.25,", "line 2 is damaged"),
        (b",ok,", b',"ok,', "line 2 is damaged"),
        (b",ok,", b",o\0k,", "line 2 is damaged"),
        (b",ok,", b",o\xffk,", "line 2 is damaged"),
        (b",ok,", b"," + b"k" * 200_000 + b",", "line 2 is damaged"),  # more than csv takes
        (b",resnet,", b",plain,", "line 2 is damaged"),
        (b",ok,", b",", "line 2 is damaged"),
        (b"\n", b"\n\n", "line 2 is damaged"),
    ],
)
def test_what_is_no_such_table_is_refused_and_left_alone(path, old, new, message):
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new) + b"torn")
    before = path.read_bytes()
    with pytest.raises(ResultsError, match=f"^{re.escape(str(path))}.*{message}"):
        Results(path)
    assert path.read_bytes() == before


def test_every_changed_cell_is_seen(path):
    whole = path.read_text().splitlines(keepends=True)
    cells = next(csv.reader(whole[2:]))
    for k, cell in enumerate(cells):
        row = [*cells[:k], "7" if cell != "7" else "8", *cells[k + 1 :]]
        path.write_text("".join(whole[:2]) + ",".join(row) + "\n" + whole[3])
        with pytest.raises(ResultsError, match="line 3 is damaged"):
            Results(path)


def test_a_row_with_a_right_check_and_no_number_in_it_is_refused_too(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + table._line(table._row(RECIPES[0], replace(FOUND, accuracy="high"))))
    with pytest.raises(ResultsError, match="line 2 is damaged"):
        Results(path)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_file_that_a_spreadsheet_saved_is_read(path, mark, quoting):
    whole = path.read_bytes()
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerows(csv.reader(whole.decode().splitlines()))  # with CRLF
    path.write_bytes(mark + text.getvalue().encode()[:-1])  # and its last line torn
    with Results(path) as results:
        assert [recipe in results for recipe in RECIPES] == [True, True, False]
        results.add(RECIPES[2], replace(FOUND, parameters=2))
    with Results(path) as results:
        assert [results[recipe] for recipe in RECIPES] == [replace(FOUND, parameters=seed) for seed in range(3)]
        results.sort(RECIPES)
    assert path.read_bytes() == whole


def test_two_sweeps_do_not_share_a_folder(path):
    pytest.importorskip("fcntl")
    with (
        Results(path),
        pytest.raises(ResultsError, match=rf"another run is writing into .* \(process {os.getpid()} on"),
    ):
        Results(path)
    with Results(path) as results:
        assert len(results) == 3
