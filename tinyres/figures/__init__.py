"""What all figures share.

palette.py   one meaning, one colour: the six that have a meaning, the others for cases, shades for depth
blank.py     an empty figure that needs no window, and the style that it is drawn in
dark.py      a drawn figure once more, for dark pages
described.py what a drawn figure shows, in words
numbers.py   and its numbers, in tables
whole.py     whole numbers on axes that count
narrow.py    the same drawing for a narrow screen
pair.py      a figure in two files, for light and for dark pages
"""

from tinyres.figures.blank import blank, styled
from tinyres.figures.dark import darken
from tinyres.figures.described import described, description_of
from tinyres.figures.narrow import fold, folded, is_narrow, narrow
from tinyres.figures.numbers import numbers, numbers_of
from tinyres.figures.pair import dark_name, narrow_name, pair, write_pair
from tinyres.figures.whole import whole, whole_ticks

__all__ = [
    "blank", "dark_name", "darken", "described", "description_of", "fold", "folded", "is_narrow", "narrow",
    "narrow_name", "numbers", "numbers_of", "pair", "styled", "whole", "whole_ticks", "write_pair",
]  # fmt: skip
