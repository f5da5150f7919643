"""How PyTensor evaluates what the tests ask it."""

import os

import pytest

# Most tests evaluate a function once or twice, and compiling it would take longer than everything else that they do.
# What is sampled is compiled all the same (nutpie asks for Numba by name), and so is what a test asks for with
# `mode="NUMBA"`. PyTensor reads this once, when it is imported; the processes that tests start inherit it.
os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, ["mode=FAST_COMPILE", os.environ.get("PYTENSOR_FLAGS")]))

# PyMC raises the limit of recursion when it is loaded, and Hypothesis fails a test during which that limit changes. The
# package loads PyMC when a model is first built, which may be anywhere.
import pymc  # noqa: F401


def pytest_sessionstart(session):
    """Compile what models share before tests run side by side: each of their processes would, at the same time."""
    if getattr(session.config.option, "numprocesses", None):
        from slopeshift.fit.compiled_once import PARTS, begin, compiled_once

        for part in PARTS:
            begin(part)
        for part in PARTS:
            compiled_once(part, print)


@pytest.fixture(scope="module")
def undrawn():
    """Pages whose figures have names and descriptions but are not drawn, which takes longer than all their words."""
    from markupsafe import Markup

    from slopeshift.report.figures import picture

    def named(figure, name, description):
        return Markup('<svg id="{}" viewBox="0 0 1 1" role="img" aria-label="{}"></svg>').format(name, description)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "svg", named)
        yield
