"""Results as tables in the terminal, as JSON and PNG files, and as one page.

tables.py   for the terminal
files.py    NAME.json and NAME.png of each experiment
pictures.py how a figure becomes a PNG file
spread.py   one experiment at several seeds: its figures and their spread
page.py     report.html: everything that lies in a folder, put together from those files
"""

from tinyres.lab.report.files import describe, save, save_seeds
from tinyres.lab.report.page import write_page
from tinyres.lab.report.spread import gather
from tinyres.lab.report.tables import seeds_table, tables

__all__ = ["describe", "gather", "save", "save_seeds", "seeds_table", "tables", "write_page"]
