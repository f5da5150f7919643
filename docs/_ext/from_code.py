"""The directive `{made-from} NAME`, which puts a text that is made from the code in its place; `made` has the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made import MADE
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class MadeFrom(SphinxDirective):
    """`{made-from} NAME`: the text of `MADE[NAME]`, read as if it stood there."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the text and parse it; the page is read anew at each build, as nothing tells when the code changed."""
        self.env.note_reread()
        return self.parse_text_to_nodes(MADE[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("made-from", MadeFrom)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
