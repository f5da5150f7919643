"""Join the parts of the validation page, which the scripts beside it write, to README.md.

A part is a Markdown file; those that exist are joined in the order of PARTS.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
PARTS = ("headline.md", "arms.md", "closed_form.md", "planning.md", "oracles.md", "traps.md")

INTRODUCTION = """# Validation

How errors in the models and in the program were looked for, and what was found.

- [Simulation-based calibration](calibration/README.md) of every model: trials are drawn from the model's own prior, fitted and ranked. `make calibrate` repeats it.
- [Headline](#headline), [arms](#arms), [closed form](#closed-form), [planning](#planning): how often the answer claims a change, with and without one, in trials that were selected and that bend.
- [Oracles](#oracles): posteriors of independent programs for the same model. `make validate` repeats them.
- [Traps](#traps): what can go wrong in such a trial, simulated, and how often the check for it fires. `make validate` repeats them.
- Recovery: whether intervals cover the truth of trials that the models did not simulate. `make test-slow` tests it.

Two traps matter most, because they make the model claim slower decline where nothing changed: [selected patients and bending courses](#claims-that-are-wrong).
"""


def main() -> None:
    """Write README.md."""
    parts = [(HERE / name).read_text(encoding="utf-8").strip() for name in PARTS if (HERE / name).exists()]
    (HERE / "README.md").write_text("\n\n".join([INTRODUCTION.strip(), *parts]) + "\n", encoding="utf-8")
    print(f"wrote {HERE / 'README.md'}")


if __name__ == "__main__":
    main()
