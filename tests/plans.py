"""Plans that several test files share."""

from pathlib import Path

from trials import ROOT

from slopeshift.model.files import load_model
from slopeshift.planning.closed_form import Model
from slopeshift.planning.plan import Design
from slopeshift.trial.settings import BUILT_IN

DESIGN = Design(20, None, 3.0, 3, 1.0, (4.5,), (1.0, 0.6, 0.5), 4.0)
"""Of the published size: 20, 12 and 10 injected, 4.5 months apart."""

STATED = {
    "level": 34.0,
    "slope": -1.03,
    "sd_level": 6.0,
    "sd_slope": 0.76,
    "sd_response": 0.2,
    "sd_cycle": 0.1,
    "sigma": 1.77,
    "sd_curvature": 0.0,
    "correlation_level_slope": 0.3,
}
"""PRO-ACT's spreads of level, slope and residual; those of changes by judgement."""


def model(name, **changes):
    """A model to plan with, varied where changes are given."""
    file = load_model(Path(ROOT / "models" / f"{name}.py"))
    return Model(name, file.build.varied(**changes), BUILT_IN[file.outcome], {})


def settings(**sections):
    """A plan's settings: small, and nothing wrong with them; sections that are None are left out."""
    found = {
        "title": "a plan",
        "model": ["alsfrsr_straight"],
        "seed": 1,
        "design": {
            "patients": [20, 40],
            "lead_in": [3, 6],
            "lead_in_visits": 3,
            "visit_spacing": 1,
            "interval": 4.5,
            "reach": [1, 0.6, 0.5],
            "follow_up": 4,
        },
        "decision": {"probability": 0.975},
        "population": {"source": "stated", **STATED},
        "scenario": [
            {"name": "nothing changes", "expected": "no claim"},
            {"name": "an effect", "expected": "claim", "effect": 0.35},
        ],
    } | sections
    return {name: section for name, section in found.items() if section is not None}
