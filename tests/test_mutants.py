"""The mutants of `scripts/mutants.py`: what they are, and that the tests kill nearly all of them."""

import ast
import importlib.util

import pytest
from trials import ROOT

SCRIPT = ROOT / "scripts/mutants.py"


@pytest.fixture(scope="module")
def mutants():
    import sys

    spec = importlib.util.spec_from_file_location("mutants", SCRIPT)
    module = sys.modules["mutants"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutants"]


CODE = """
LIMIT = 0.5  # a number


def f(x: int, y=2):
    '''Text.'''
    if x is None:
        raise ValueError(f"not {x + 1}")
    return -x if x < LIMIT and not y else np.median(x, method="inverted_cdf")
"""


def test_each_rule_changes_its_line_and_no_text_message_or_annotation(mutants):
    found = mutants.mutants_of("f.py", CODE)
    after = {mutant.after.strip() for mutant in found}
    assert "LIMIT = 0.625  # a number" in after
    assert "LIMIT = 0.4  # a number" in after
    assert "if False:" in after
    assert "if (x is not None):" in after
    assert "def f(x: int, y=3):" in after
    whole = [text for text in after if text.startswith("return")]
    for part in (
        "(x <= LIMIT)",
        "(x > LIMIT)",
        " or ",
        "return (x) if",
        'np.mean(x, method="inverted_cdf")',
        "'nearest'",
    ):
        assert any(part in text for text in whole), part
    assert {mutant.line for mutant in found} == {2, 5, 7, 9}


def test_the_same_seed_draws_the_same(mutants):
    target = min(
        mutants.TARGETS.values(), key=lambda each: sum((ROOT / path).stat().st_size for path in mutants.files_of(each))
    )
    first, again, other = (mutants.chosen(target, 14, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.slow
def test_every_mutant_of_every_target_parses(mutants):
    for target in mutants.TARGETS.values():
        chosen = mutants.chosen(target, 14, seed=1)
        assert len(chosen) == 14
        for mutant in chosen:
            lines = (ROOT / mutant.path).read_text().splitlines()
            assert lines[mutant.line - 1] == mutant.before != mutant.after
            lines[mutant.line - 1] = mutant.after
            ast.parse("\n".join(lines))


def test_a_target_that_moved_away_is_asked_for_by_name(mutants):
    with pytest.raises(
        LookupError, match=r"no file of src/slopeshift is like gone/\*\.py: say in TARGETS where it went"
    ):
        mutants.files_of(mutants.Target(("gone/*.py",), ()))


@pytest.mark.slow
def test_nine_of_ten_mutants_are_killed(mutants):
    made, survivors = mutants.study(list(mutants.TARGETS), number=14, seed=1)
    assert made >= 60
    assert len(survivors) <= 0.1 * made, "\n".join(map(str, survivors))
