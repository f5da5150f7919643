"""The page in a browser: quiet, offline, readable on a telephone and in print, usable by keyboard, safe.

Each page is opened once, in every way that its tests ask about.
"""

import json
import re

import pytest
from looks import AXE, LAYOUTS
from made_reports import CHANGE, SKIPPED, made_fit, made_trial, written

from slopeshift.answers.quantities import patients, population, summarise
from slopeshift.fit.posterior import posterior_of
from slopeshift.report.words.numbers import between

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '=HYPERLINK("http://x","y")',
    "../../x",
    "x" * 80,
    "مرحبا",
    "😀 & co",
)
LONG = "<b>" + 300 * "w"
"""Longer than a patient's name may be: a title and a term have no such limit."""

WAYS = (
    *(*LAYOUTS, *AXE),
    *("keyboard", "threshold", "cut", "pdf", "print", "unscripted", "text"),
)
WAYS_OF_THE_TECHNICAL = (*LAYOUTS, *AXE, "cut", "cut where figures may break", "pdf", "print", "text")

WAYS_OF_THE_SUMMARY = (*LAYOUTS, *AXE, "cut", "pdf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def trial():
    """Patient A3 was never seen, and C0 never injected."""
    return made_trial(("A1", "A2", "A3", "A4"), k=3, silent=("A3",), controls=1)


@pytest.fixture(scope="module")
def seen(look, folder, trial):
    """A page of one fit that passed, one that failed, and one that was skipped."""
    written(folder / "plain", trial, [made_fit(trial), made_fit(trial, "broken", broken=True), SKIPPED])
    return look(folder / "plain/index.html", *WAYS)


@pytest.fixture(scope="module")
def summary(look, folder, seen):
    return look(folder / "plain/summary.html", *WAYS_OF_THE_SUMMARY)


@pytest.fixture(scope="module")
def technical(look, folder, seen):
    return look(folder / "plain/technical.html", *WAYS_OF_THE_TECHNICAL)


@pytest.fixture(scope="module")
def hostile(look, folder):
    trial = made_trial(HOSTILE, k=1, title=LONG)
    written(folder / "hostile", trial, [made_fit(trial)])
    return look(folder / "hostile/index.html", "patients", "text", "layout 390", "layout 1280")


@pytest.fixture(scope="module")
def failed(look, folder, trial):
    """Both pages of a fit that failed: the first as it is seen, and the text of the second."""
    written(folder / "failed", trial, [made_fit(trial, broken=True)])
    found = look(folder / "failed/index.html", "text", "layout 390")
    return found | {"technical": look(folder / "failed/technical.html", "text")["text"]}


# ---- quiet, offline, readable ----


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["console", "requests", "dialogs"])
def test_the_page_says_nothing_to_the_console_and_asks_nothing_of_the_network(seen, way, kind):
    assert seen[way][kind] == []


@pytest.mark.parametrize("way", LAYOUTS)
def test_nothing_is_wider_than_the_screen(seen, technical, way):
    for found in (seen[way]["found"], technical[way]["found"]):
        assert found["taken"] <= found["room"]
        assert found["wide"] == []


@pytest.mark.parametrize("way", AXE)
def test_axe_finds_no_violation(seen, technical, way):
    found = [*seen[way]["found"], *technical[way]["found"]]
    assert not found, json.dumps(found, indent=2)


def test_the_technical_page_is_quiet_and_prints_without_a_cut(technical):
    for way in technical.values():
        assert way["console"] == way["requests"] == way["dialogs"] == []
    found = technical["cut"]["found"]
    assert found["cut"] == found["tall"] == found["wide"] == []
    assert technical["pdf"]["found"]["pages"] > 5


def test_text_of_figures_has_eight_points_in_print(seen, technical):
    for found in (seen["print"]["found"], technical["print"]["found"]):
        assert found["figures"] > 5
        assert found["small"][0]["points"] >= 7.95, found["small"]


def test_a_link_into_the_other_page_leads_to_what_it_names(folder, seen):
    """Without a server: the files lie beside each other."""
    index = (folder / "plain/index.html").read_text(encoding="utf-8")
    names = set(re.findall(r'href="technical\.html#([^"]+)"', index))
    technical = (folder / "plain/technical.html").read_text(encoding="utf-8")
    assert len(names) > 10
    assert all(f'id="{name}"' in technical for name in names)


def test_the_summary_is_one_sheet_quiet_and_accessible(summary):
    for way in WAYS_OF_THE_SUMMARY:
        assert summary[way]["console"] == summary[way]["requests"] == []
    assert all(summary[way]["found"]["wide"] == [] for way in LAYOUTS)
    assert all(summary[way]["found"] == [] for way in AXE)
    assert summary["pdf"]["found"]["pages"] == 1
    assert summary["cut"]["found"]["cut"] == []


def test_a_page_that_is_not_accessible_or_too_wide_is_found_out(look, folder, seen):
    """Or the two tests above might be blind."""
    bad = '<img src="data:,"><p style="color:#999;background:#aaa">pale</p><div style="width:2000px">wide</div></main>'
    page = folder / "plain/index.html"
    spoiled = page.read_text(encoding="utf-8").replace("</main>", bad)
    (folder / "bad.html").write_text(spoiled, encoding="utf-8")
    found = look(folder / "bad.html", "axe light", "layout 1280")
    assert {"color-contrast", "image-alt"} <= {each["id"] for each in found["axe light"]["found"]}
    assert found["layout 1280"]["found"]["wide"]
    assert found["axe light"]["console"], "and the policy of the page lets no picture in"


# ---- the patient view by keyboard ----


@pytest.fixture(scope="module")
def steps(seen):
    return seen["keyboard"]["found"]


def test_tab_reaches_every_control_and_the_focus_is_seen(steps):
    assert [step["focus"] for step in steps.values()] == [
        *("view-patient", "view-patient", "view-previous", "view-previous"),
        *("view-next", "view-outcome", "view-table"),
    ]
    assert all(step["ring"] for step in steps.values())


def test_an_arrow_chooses_the_next_patient_and_everything_follows(steps):
    first, second = steps["first"], steps["arrow"]
    assert (first["patient"], second["patient"]) == ("A1", "A2")
    assert first["said"][0] == "ALSFRS-R of patient A1: 16 values, 3 injections, died at month 12.0."
    assert second["said"][0] == "ALSFRS-R of patient A2: 12 values, 2 injections, completed at month 8.0."
    for part in ("said", "label", "caption", "rows"):
        assert first[part] != second[part]
    for name in (0, 1):
        assert first["lines"][name]
        assert first["lines"][name] != second["lines"][name]
    assert (first["dots"], first["injections"], first["recorded"]) == (16, 3, 16)
    assert (second["dots"], second["injections"], second["recorded"]) == (12, 2, 12)
    assert second["rows"][2] == ["3", "not reached"]


def test_buttons_step_through_the_patients_and_stop_at_the_first(steps):
    assert [steps[name]["patient"] for name in ("previous", "beforeTheFirst", "next")] == ["A1", "A1", "A2"]
    assert [steps[name]["previous"] for name in ("previous", "next")] == ["true", "false"]
    assert steps["next"]["rows"] == steps["arrow"]["rows"]


def test_the_table_has_the_numbers_of_the_csv_file(steps, folder):
    import pandas as pd

    table = pd.read_csv(folder / "plain/tables/patients.csv", keep_default_na=False)
    rows = table[(table["model"] == "alsfrsr") & (table["patient"] == "A1")]
    printed = [(row[2].replace("−", "-"), row[4], row[5], row[6]) for row in steps["first"]["rows"]]
    assert printed == [
        (f"{r['mean']:+.2f}", *(words(r[p]) for p in ("prob_positive", "prob_slowing_25", "prior_prob_slowing_25")))
        for _, r in rows.iterrows()
    ]


def test_a_reader_may_ask_for_a_change_above_any_value_by_keyboard(seen, folder):
    import pandas as pd

    steps = seen["threshold"]["found"]
    assert all(step["shown"] for step in steps.values())
    table = pd.read_csv(folder / "plain/tables/change_curve.csv", keep_default_na=False)
    curve = table[(table["model"] == "alsfrsr") & (table["injection"] == "overall")].reset_index(drop=True)
    start = int(curve["x"].abs().argmin())
    for name, place in {"first": start, "arrow": start + 1, "end": len(curve) - 1}.items():
        row, step = curve.loc[place], steps[name]
        value = f"{row['x']:+.2f}".replace("-", "−") if round(row["x"], 2) else "0.00"
        assert step["named"] == f"{value} points/month"
        assert step["said"].startswith(f"Pr(change > {value} points/month): injection 1: ")
        assert step["said"].endswith(f"all injections: {words(row['probability'])}.")


def words(probability):
    return "> 0.99" if probability > 0.99 else "< 0.01" if probability < 0.01 else f"{probability:.2f}"


# ---- print, and without a script ----


def test_no_figure_and_no_row_is_cut_between_pages(seen):
    found = seen["cut"]["found"]
    assert found["pages"] > 3
    assert found["figures"] > 10
    assert found["rows"] > 30
    assert found["cut"] == found["tall"] == found["wide"] == []


def test_a_figure_that_may_break_is_found_cut(technical):
    """Or the test above might be blind."""
    assert any(name.startswith("FIGURE") for name in technical["cut where figures may break"]["found"]["cut"])


def test_the_page_prints_to_pdf(seen):
    assert seen["pdf"]["found"]["pages"] > 3
    assert seen["pdf"]["found"]["bytes"] > 50_000


def test_without_a_script_the_page_is_whole_and_says_what_is_off(seen):
    found = seen["unscripted"]["found"]
    assert found["off"]
    assert not found["on"]
    assert not found["threshold"]
    assert found["figures"] > 10
    assert found["tables"] > 5


def test_another_script_does_not_run(look, folder, seen):
    """The policy of the page names its own script alone."""
    page = (folder / "plain/index.html").read_text(encoding="utf-8")
    foreign = "<script>document.title = 'run'</script><p onclick='0'><a href='javascript:0'>x</a></main>"
    (folder / "foreign.html").write_text(page.replace("</main>", foreign), encoding="utf-8")
    found = look(folder / "foreign.html", "text")["text"]
    assert found["found"]["title"] != "run"
    assert any("Content Security Policy" in message for message in found["console"])


# ---- hostile texts, and a failed gate ----


@pytest.mark.parametrize("way", ["patients", "text", "layout 390", "layout 1280"])
def test_hostile_texts_run_nothing_and_load_nothing(hostile, way):
    assert hostile[way]["console"] == hostile[way]["requests"] == hostile[way]["dialogs"] == []


@pytest.mark.parametrize("way", ["layout 390", "layout 1280"])
def test_hostile_texts_are_no_wider_than_the_screen(hostile, way):
    found = hostile[way]["found"]
    assert found["taken"] <= found["room"]
    assert found["wide"] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_name_can_be_chosen_and_is_shown_as_it_is_written(hostile, name):
    found = [step for step in hostile["patients"]["found"] if step["patient"] == name]
    assert len(found) == 1
    assert f"ALSFRS-R of patient {name}: " in found[0]["said"][0]
    assert found[0]["caption"] == f"ALSFRS-R of patient {name}, by injection"
    assert found[0]["label"].startswith(f"ALSFRS-R of patient {name}: ")
    assert found[0]["dots"] == 8
    assert found[0]["made"] == 0, "no text became an element"
    assert name in hostile["text"]["found"]["text"]


def test_a_long_title_is_shown_as_it_is_written(hostile):
    assert LONG in hostile["text"]["found"]["text"]


def intervals(trial, fit):
    """Print every interval of a fit as the page does, whether or not it may be shown."""
    posterior = posterior_of(trial, fit)
    of_all, of_each = population(posterior), patients(posterior)["change"]
    rows = [*summarise(of_all).itertuples(), *summarise(of_each).assign(unit="points/month").itertuples()]
    return {
        between(row.lower, row.upper, row.unit, sign=sign) for row in rows for sign in (True, False) if row.sd > 0
    } - {"< 0.01 to > 0.99"}


def test_a_failed_fit_shows_its_diagnostics_and_not_one_of_its_numbers(seen, technical, failed, trial):
    shown = " ".join(failed[way]["found"]["text"] for way in ("text", "technical")).replace("\u00a0", " ")
    assert "GATE FAILED" in shown
    assert "R-hat" in shown
    assert not [text for text in intervals(trial, made_fit(trial, broken=True)) if text in shown]
    assert f"{CHANGE:.2f}" not in shown
    assert not re.search("(slower|faster) decline: ", shown)
    passed = (seen["text"]["found"]["text"] + technical["text"]["found"]["text"]).replace("\u00a0", " ")
    numbers = [text for text in intervals(trial, made_fit(trial)) if text in passed]
    assert len(numbers) > 10, "a fit that passed is all numbers"


def test_a_failed_fit_is_quiet_and_fits_the_screen(failed):
    for way in failed.values():
        assert way["console"] == way["requests"] == way["dialogs"] == []
    assert failed["layout 390"]["found"]["wide"] == []
