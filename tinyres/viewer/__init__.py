"""Step through a forward and backward pass, or browse a recorded training, in an HTML page that works offline.

tracing.py    tr.trace(loss) and the document it produces
tracer.py     the observer that records it;   records.py its data classes;   joins.py where residual routes rejoin
names.py      names of operations, parameters and variables
summaries.py  an array in full or as a thumbnail
rules.py      source text of the vjp rules
events.py     each event as a line of text;   stepper.py stepping through them in a terminal
run.py        a recorded training
page.py       the page;   picture.py, sketch.py  still images for readers without scripts
web/          the source of page.html
schema.json   the format of the documents
"""

from tinyres.viewer.run import save
from tinyres.viewer.tracing import Trace, trace

__all__ = ["Trace", "save", "trace"]
