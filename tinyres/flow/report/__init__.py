"""Results as tables in the terminal, as JSON and PNG files, and as one page.

tables.py   for the terminal
files.py    NAME.json and NAME.png of each experiment
page.py     report.html: everything that lies in a folder, put together from those files
"""

from tinyres.flow.report.files import save
from tinyres.flow.report.page import write_page
from tinyres.flow.report.tables import tables

__all__ = ["save", "tables", "write_page"]
