"""What is kept: tables with what they were made from, provenance by content."""

import numpy as np
import pandas as pd
import pytest

from slopeshift.keep import made_from, tables

TABLE = pd.DataFrame(
    {
        "injection": ["1", "overall", ""],
        "mean": [0.1 + 0.2, np.nan, -np.inf],
        "n": [1, 2, 3],
        "ok": [True, False, True],
        "note": ["a, b", "NA", 'said "no"'],
    }
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    found, stale = tables.current(tmp_path, lambda _: {"fit": "a"})
    assert stale == []
    pd.testing.assert_frame_equal(found["population"], TABLE, check_dtype=False)
    assert found["population"]["mean"][0] == 0.1 + 0.2


def test_a_table_made_from_something_else_is_named_and_not_read(tmp_path):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    tables.save("patients", TABLE, {"fit": "b"}, tmp_path)
    found, stale = tables.current(tmp_path, lambda _: {"fit": "a"})
    assert (list(found), stale) == (["population"], ["patients"])


def test_an_empty_table_keeps_its_columns(tmp_path):
    tables.save("population", TABLE[:0], {}, tmp_path)
    found, _ = tables.current(tmp_path, lambda _: {})
    assert list(found["population"]) == list(TABLE)


def test_an_interrupted_write_leaves_a_table_that_counts_as_missing(tmp_path, monkeypatch):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tables.save("population", TABLE, {"fit": "b"}, tmp_path)
    assert tables.current(tmp_path, lambda _: {"fit": "a"}) == ({}, [])


WORDS = '"""One."""\n\nX = 1\n"""What it is."""\n\n\ndef f():\n    """Two."""\n    return X  # three\n'


def test_words_of_a_program_do_not_count():
    other = '"""Uno."""\nX = 1\n\ndef f():\n    return (X)\n'
    assert made_from.without_docstrings(WORDS) == made_from.without_docstrings(other)


def test_code_of_a_program_counts():
    assert made_from.without_docstrings(WORDS) != made_from.without_docstrings(WORDS.replace("return X", "return -X"))


def test_the_closure_follows_imports_in_functions_and_for_types():
    closure = made_from.closure(frozenset({"fit.sample"}))
    assert {"fit.log_prior", "engine.kernel", "design.visits", "trial.door"} <= closure
    assert not {name for name in closure if name.startswith(("answers", "report", "cli"))}


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(LookupError, match=r"fit\.nothing"):
        made_from.code("fit.nothing")
