"""Put the parts of the validation page together: README.md of what each script beside it has written.

A part is a Markdown file; this joins those that are there, in the order of PARTS.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
PARTS = ("oracles.md", "traps.md")

INTRODUCTION = """# Validation

What was done to find errors in the models and in the program, with its numbers.

- [Simulation-based calibration](calibration/README.md) of every model: trials drawn from the model's own prior, fitted, and ranked. `make calibrate` makes it.
- Oracles: posteriors of independent programs for the same model. `make validate` makes them.
- Traps: what can go wrong in such a trial, switched on in simulated trials, and how often the check for it fires.
- Recovery: whether intervals cover the truth of trials that the models did not simulate. `make test-slow` asks it.
"""


def main() -> None:
    """Write README.md."""
    parts = [(HERE / name).read_text(encoding="utf-8").strip() for name in PARTS if (HERE / name).exists()]
    (HERE / "README.md").write_text("\n\n".join([INTRODUCTION.strip(), *parts]) + "\n", encoding="utf-8")
    print(f"wrote {HERE / 'README.md'}")


if __name__ == "__main__":
    main()
