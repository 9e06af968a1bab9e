"""The site: `python -m sphinx -W --keep-going -b html tutorials site`, from the root of the repository.

The tutorials are its pages. Each is run while the site is built, and an assertion that fails stops the build. `-j 2`
reads two at a time, which is quicker if each keeps to one thread (`.ci/run`).
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # its own modules
os.environ.pop("MPLBACKEND", None)  # the notebooks' figures are to go onto the page

import _docstrings  # noqa: E402
import _gallery  # noqa: E402
import _left_out  # noqa: E402
import _links  # noqa: E402
import _mathml  # noqa: E402
import _plans  # noqa: E402
import _references  # noqa: E402
from sphinx.util.parallel import make_chunks  # noqa: E402

import tinyres  # noqa: E402

project = "tinyres"
author = "The tinyres authors"
version = release = tinyres.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinxcontrib.bibtex"]
exclude_patterns = ["conf.py", "_*.py", "**/__pycache__"]

# The tutorials: percent-format files, each run in a fresh process.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = False  # a warning with its traceback, hence an error with -W: all that fail are told
nb_execution_show_tb = True
nb_execution_timeout = 180  # seconds a cell
nb_execution_in_temp = True
nb_output_stderr = "remove-warn"  # what is written there is a warning, hence an error with -W
nb_merge_streams = True
logging.getLogger("traitlets").setLevel(logging.WARNING)  # else a line a notebook: that it is being run
KERNELS = tempfile.TemporaryDirectory()  # kernels take their settings from here, and nobody's own
os.environ["IPYTHONDIR"] = KERNELS.name
(Path(KERNELS.name) / "profile_default").mkdir()
(Path(KERNELS.name) / "profile_default" / "ipython_kernel_config.py").write_text(
    "c.IPKernelApp.log_level = 40\n"  # else a line a notebook: that its messages are not encrypted
)
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3

# The reference: Google style docstrings, whose formulas are plain text.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "code"
highlight_language = "none"  # literal blocks in docstrings are formulas and columns
nitpicky = False

bibtex_bibfiles = [_references.BIBLIOGRAPHY.name]
bibtex_default_style = "references"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "tinyres"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6fb2", "color-brand-content": "#1f6fb2"},
    "dark_css_variables": {"color-brand-primary": "#7ab8ef", "color-brand-content": "#7ab8ef"},
}


def _skip(app, what, name, obj, skip, options):
    """Leave out what every module has and no reader calls."""
    return True if name == "extra_repr" else None


def _dealt(app, env, docnames):
    """Share out what takes long. With `-j 2`, each of two processes reads a stretch of this list, and then another."""
    long = [name for name in docnames if name[0].isdigit() or name in ("gallery", "plans")]
    others = [name for name in docnames if name not in long]
    piece = max(1, len(make_chunks(docnames, app.parallel)[0]) - (len(long) + 1) // 2)
    docnames[:] = [*long[::2], *others[:piece], *long[1::2], *others[piece:]]


def setup(app):
    """What is made while pages are read and written: texts of the gallery and of plans, links, docstrings, formulas."""
    _mathml.setup(app)
    app.connect("env-before-read-docs", _dealt)
    app.connect("source-read", _gallery.fill)
    app.connect("source-read", _left_out.fill)
    app.connect("source-read", _links.fill)
    app.connect("source-read", _plans.fill)
    _references.setup(app)
    app.connect("autodoc-process-docstring", _docstrings.convert, priority=400)  # napoleon comes at 500
    app.connect("autodoc-skip-member", _skip)
