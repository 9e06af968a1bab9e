"""Step through a forward and a backward pass, or look back on a training: pages that open from the disk.

tracing.py    tr.trace(loss): the document of a pass, and what can be done with it
tracer.py     the observer that writes it;   records.py an operation;   joins.py where residual routes rejoin
names.py      what things are called
summaries.py  what is kept of an array
rules.py      the text of the rules
story.py      the same in words, for the terminal
run.py        a recorded training
page.py       the page;   picture.py, sketch.py  what is shown where no script runs
web/          the source of page.html
schema.json   what the documents hold
"""

from tinyres.viewer.run import save
from tinyres.viewer.tracing import Trace, trace

__all__ = ["Trace", "save", "trace"]
