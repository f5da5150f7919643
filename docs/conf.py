"""Settings of the documentation. Its source is the whole checkout, so that links lead where they do in a forge."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

import slopeshift

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

for chatty in ("arviz", "traitlets"):  # they would tell of imports and kernels on Sphinx's own channel
    logging.getLogger(chatty).setLevel(logging.WARNING)

project, author = "slopeshift", "The slopeshift developers"
project_copyright = "the slopeshift developers. MIT licence"
release = version = slopeshift.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_copybutton", "mathml", "from_code"]
root_doc = "docs/index"
include_patterns = [
    *("*.md", "data/README.md", "data/published/README.md", "bench/README.md"),
    *("validation/README.md", "validation/calibration/README.md", "docs/**.md"),
]
exclude_patterns = [".*", "fits", "reports", "site", "dist", "src", "tests", "scripts", "models", "requirements*"]

html_theme = "furo"
html_title = f"slopeshift {release}"
html_static_path = ["_static"]
html_css_files = ["slopeshift.css"]
html_extra_path = ["_front"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = False
# Excerpts beside what a search finds would have to be fetched, which a browser refuses where pages are files.
html_show_search_summary = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Tutorials are run when the site is built: their numbers are those of the code at hand, or there is no site.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 240
nb_merge_streams = True

smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "literal"
numpydoc_show_class_members = False

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False


def setup(app: Sphinx) -> None:
    """Take the tables of the dictionary, which Pygments has no name for, as plain text."""
    app.add_lexer("csv", TextLexer)
