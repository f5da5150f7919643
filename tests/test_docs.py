"""The documents: their links lead somewhere, their numbers are those that were found, and their sentences are short."""

import importlib
import re
from pathlib import Path

import pandas as pd
import pytest
from trials import ROOT

PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "SECURITY.md",
            "CODE_OF_CONDUCT.md",
        )
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / "data").glob("*.md"),
    *(ROOT / name / "README.md" for name in ("bench", "data/published", "validation", "validation/calibration")),
]
DECISIONS = ROOT / "docs/decisions"
LONGEST_MEAN = 20
"""Words a sentence, on average, that no document exceeds."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose_of(text: str) -> str:
    """Leave out code, tables, headings and pictures, and the addresses of links."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#", "!"))]
    return re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))


def sentences_of(text: str) -> list[str]:
    """Split prose where a sentence, a line of a list or a paragraph ends."""
    return [part for part in re.split(r"(?<=[.!?:])\s+|\n+(?=[-\d])|\n\n", prose_of(text)) if part.strip()]


def anchors_of(text: str) -> set[str]:
    """Name the headings of a page as GitHub links them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_pages_and_headings_that_are_there(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        linked = (page.parent / place) if place else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_sentences_have_at_most_twenty_words_on_average(page):
    found = [len(sentence.split()) for sentence in sentences_of(page.read_text(encoding="utf-8"))]
    assert sum(found) / len(found) <= LONGEST_MEAN


def test_the_index_lists_every_page_of_decisions():
    listed = set(re.findall(r"\]\((\w+\.md)\)", (DECISIONS / "README.md").read_text()))
    assert listed == {page.name for page in DECISIONS.glob("*.md")} - {"README.md"}


def test_modules_that_documents_name_are_there():
    for page in (ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *DECISIONS.glob("*.md")):
        for module in re.findall(r"`(\w+/[\w/]+\.py)`", page.read_text()):
            assert any((folder / module).exists() for folder in (ROOT, ROOT / "src/slopeshift")), (page.name, module)


def test_architecture_is_one_page():
    assert len((ROOT / "ARCHITECTURE.md").read_text().split()) < 1000


def rate(table, name, patients, check, column="fired_on"):
    """Return one share of traps.csv, in whole percent."""
    rows = table[(table["name"] == name) & (table["patients_on"] == patients) & (table["check"] == check)]
    return round(100 * rows[column].iloc[0])


def test_the_readme_warns_with_the_rates_that_were_found():
    table = pd.read_csv(ROOT / "validation/traps.csv")
    text = (ROOT / "README.md").read_text()
    warning = text[text.index("## Before you believe") : text.index("## How to read")]
    claim, bend = "slower decline claimed", "a bend that all courses share"
    chosen = "regression to the mean: entry asks for a loss of 3 points"
    bending = "natural courses that bend: 0.05 points a month less steep every month"
    longer = f"{bending}, after a lead-in of 12 months"
    for name in (chosen, bending):
        assert f"**{rate(table, name, 20, claim)} %**" in warning
        assert rate(table, name, 20, claim, "fired_off") == 0
    assert rate(table, longer, 60, claim) == 100
    assert f"{rate(table, chosen, 20, 'smallest loss before the first injection')} % of such trials" in warning
    fires = sorted(rate(table, bending, 20, check) for check in (bend, "courses that bend by themselves"))
    assert f"{fires[0]} to {fires[1]} %" in warning
    assert f"{rate(table, longer, 60, bend)} % of the trials with 60 patients" in warning


def test_the_readme_says_how_often_the_headline_claimed_where_nothing_changed():
    table = pd.read_csv(ROOT / "validation/headline.csv").query("model == 'alsfrsr' and change == 0")
    claimed = {(row.patients, row.situation): (row.claimed, row.trials) for row in table.itertuples()}
    text = (ROOT / "README.md").read_text()
    for situation, words in {
        "plain": "with neither",
        "chosen by a loss of 3 points": "whose patients had to lose 3 points",
        "natural courses that bend: 0.05 points a month less steep every month": "whose courses flatten by 0.05 points",
    }.items():
        shares = [claimed[patients, situation] for patients in (20, 60)]
        assert all(trials == 200 for _, trials in shares), situation
        cells = " | ".join(f"{100 * share:.1f} %".replace("0.0 %", "0 %") for share, _ in shares)
        assert f"| {cells} | {words}" in text


def test_the_readme_says_how_often_the_headline_finds_a_change_in_spite_of_both_traps():
    table = pd.read_csv(ROOT / "validation/headline.csv")
    (found,) = table.query(
        "model == 'alsfrsr' and change == 0.6 and situation == 'both' and patients == 20"
    ).itertuples()
    text = (ROOT / "README.md").read_text()
    claimed, at_cut = (f"in {100 * share:.0f} %" for share in (found.claimed, found.claimed_at_cut))
    assert f"it claimed slower decline {claimed} of {found.trials} trials of 20 patients, and {at_cut} above" in text
    (misstated,) = table[table["situation"] == "chosen by a loss of 3 points, told 2"].itertuples()
    assert f"it sees {misstated.bias:.2f} points a month too much where nothing changed" in text


def test_the_readme_says_how_often_a_difference_of_arms_was_claimed():
    table = pd.read_csv(ROOT / "validation/arms.csv").query("prior == 'as stated'").set_index("difference")
    text = (ROOT / "README.md").read_text()
    controlled = text[text.index("## Controlled trials") : text.index("## How to read")]
    assert (table["trials"] == 200).all()
    assert f"claimed in {100 * table['claimed'][0.0]:.1f} % of 200 trials in which nothing changed" in controlled
    assert f"in {100 * table['claimed'][0.6]:.0f} % of those with a difference of +0.6 points a month" in controlled


@pytest.mark.parametrize("name", ["headline", "arms", "closed_form"])
def test_pages_of_studies_say_what_their_tables_say(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "validation")
    study = importlib.import_module(name).STUDY
    page = study.page(pd.read_csv(ROOT / f"validation/{name}.csv"), study.seed)
    assert page == (ROOT / f"validation/{name}.md").read_text()
