"""The reports of the synthetic trials as `make report` left them, in a browser: small, quick, printed in few pages.

Whatever `make null` and `make sensitivity` have found is part of them, and counts.
"""

import json

import pytest
from looks import AXE, LAYOUTS
from trials import ROOT

from slopeshift.report.parts import INDEX, SUMMARY, TECHNICAL

TRIALS = ("synthetic-msc-als", "synthetic-rct-als")
MEGABYTES = {INDEX: 3.0, TECHNICAL: 8.0, SUMMARY: 0.5}
PAGES = {INDEX: 15, SUMMARY: 1}
"""Most printed pages; of the technical report there may be any number."""

SECONDS = 2.0
"""Within which a page is open, at the best of three times, since other programs may be at work."""


@pytest.fixture(scope="module", params=[f"{trial}/{page}" for trial in TRIALS for page in MEGABYTES])
def page(request, required):
    """Give each page of both reports."""
    path = ROOT / "reports" / request.param
    required("" if path.exists() else f"there is no {request.param}: `make report` writes it")
    return path


@pytest.fixture(scope="module")
def seen(look, page):
    return look(page, *LAYOUTS, *AXE, "pdf", "print", "cut", "seconds")


def test_a_page_is_no_larger_than_promised(page):
    assert page.stat().st_size <= 1e6 * MEGABYTES[page.name]


def test_a_page_prints_on_no_more_sheets_than_promised(seen, page):
    assert 1 <= seen["pdf"]["found"]["pages"] <= PAGES.get(page.name, 1000)


def test_a_page_is_open_within_two_seconds(look, seen, page):
    times = [seen["seconds"], *(look(page, "seconds")["seconds"] for _ in range(2))]
    assert min(time["found"]["loaded"] for time in times) <= SECONDS


@pytest.mark.parametrize("way", LAYOUTS)
def test_nothing_is_wider_than_the_screen(seen, way):
    found = seen[way]["found"]
    assert found["taken"] <= found["room"]
    assert found["wide"] == []


@pytest.mark.parametrize("way", AXE)
def test_axe_finds_no_violation(seen, way):
    assert not seen[way]["found"], json.dumps(seen[way]["found"], indent=2)


def test_a_page_is_quiet_and_asks_nothing_of_the_network(seen):
    for way in seen.values():
        assert way["console"] == way["requests"] == way["dialogs"] == []


def test_print_cuts_nothing_and_keeps_eight_points_in_figures(seen):
    found, printed = seen["cut"]["found"], seen["print"]["found"]
    assert found["cut"] == found["tall"] == found["wide"] == []
    assert printed["figures"] > 1
    assert printed["small"][0]["points"] >= 7.95, printed["small"]
