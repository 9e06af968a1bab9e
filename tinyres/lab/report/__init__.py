"""Reports: results as terminal tables, JSON and PNG files, and one HTML page.

tables.py   findings and tables for the terminal
files.py    NAME.json and NAME.png of each experiment
pictures.py save a figure as a PNG file
spread.py   combine the results of several seeds
page.py     report.html: all results in a folder on one page
"""

from tinyres.lab.report.files import describe, save, save_seeds
from tinyres.lab.report.page import write_page
from tinyres.lab.report.spread import gather
from tinyres.lab.report.tables import counts, finding, seeds_table, tables

__all__ = ["counts", "describe", "finding", "gather", "save", "save_seeds", "seeds_table", "tables", "write_page"]
