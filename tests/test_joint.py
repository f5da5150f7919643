"""The control's patients in the same likelihood: who they are, and what becomes of the answer."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_history import pair  # noqa: F401
from trials import ROOT, line_trial

from slopeshift.answers.quantities import change
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.covariates import Covariate, CovariateError
from slopeshift.model.files import load_model, loaded
from slopeshift.model.priors import Normal
from slopeshift.sensitivity.joint import JOINT, joined, with_control
from slopeshift.sensitivity.refits import VariationJob
from slopeshift.trial import read_trial

SMALL = Sampling(chains=2, draws=600, tune=500)


def subject_of(trial, model="alsfrsr_straight"):
    file = load_model(ROOT / f"models/{model}.py")
    return SimpleNamespace(file=file, posterior=SimpleNamespace(trial=trial, outcome="alsfrsr"))


def test_the_controls_patients_join_with_their_untreated_values(pair):  # noqa: F811
    trial = read_trial(pair())
    found, history = joined(trial, "alsfrsr"), trial.control.trial
    assert len(found.patients) == len(trial.patients) + 40
    assert found.patients["study"].value_counts().to_dict() == {"control": 40, "trial": 6}
    assert set(found.patients.loc[found.patients["study"] == "control", "entry_exempt"]) == {"yes"}
    assert set(found.patients.loc[found.patients["study"] == "trial", "entry_exempt"]) == {"no"}
    assert len(found.visits) == len(trial.visits) + len(history.natural_history("alsfrsr"))
    assert found.control is None
    assert found.injections.equals(trial.injections)
    of_control = found.visits[found.visits["patient"].str.startswith("control: ")]
    assert of_control["month"].min() == pytest.approx(-3.0), (
        "the trial's first value is three months before injection 1"
    )


def test_nothing_joins_where_nothing_is_shared():
    assert with_control(subject_of(line_trial())) == []


@pytest.mark.parametrize("model", ["alsfrsr_student", "alsfrsr_arms_straight", "formula"])
def test_only_lines_of_one_group_take_them_in(model, pair):  # noqa: F811
    assert with_control(subject_of(read_trial(pair()), model)) == []


def test_studies_differ_by_what_is_stated(pair):  # noqa: F811
    trial = read_trial(pair("alsfrsr = 0.15"))
    (found,) = with_control(subject_of(trial, "alsfrsr"))
    file = loaded("joint", load_model(ROOT / "models/alsfrsr.py").source + found.varied)
    assert [(c.on, c.prior.sd, c.reference) for c in file.build.covariates] == [
        ("level", file.build.level.sd, "trial"),
        ("slope", 0.15, "trial"),
        ("curvature", 1.0, "trial"),
    ]
    assert (found.analysis, found.detail[:11]) == (JOINT, "40 patients")
    assert len(found.data[0].value) == len(visits_of(found.trial, "alsfrsr").value)


def test_the_answer_is_near_that_with_a_prior_of_the_control(pair):  # noqa: F811
    """Both take the mean slope from the same forty patients; the joint model learns the spreads from them too."""
    trial = read_trial(pair("alsfrsr = 0.15"))
    subject = subject_of(trial)
    (variation,) = with_control(subject)
    job = VariationJob(trial, "alsfrsr", subject.file.name, subject.file.source, 1, (variation,))
    overall = next(row for row in job.rows(0) if row["injection"] == "overall")
    program = compile_once(subject.file.name, subject.file.source, trial, SMALL)
    posterior = program.fit(trial, visits_of(trial, "alsfrsr"), 1)
    mean, sd = float(change(posterior).mean()), float(change(posterior).std())
    assert overall["passed"]
    assert overall["n_patients"] == 46
    assert overall["mean"] == pytest.approx(mean, abs=0.6 * sd)
    assert 0.6 < overall["sd"] / sd < 1.2


def test_a_covariate_of_the_curvature_needs_a_curved_course():
    trial = line_trial()
    covariate = Covariate("x", on="curvature", prior=Normal(0, 1))
    about = trial.patients.assign(x=np.arange(len(trial.patients)))
    visits = visits_of(trial, "alsfrsr")
    from dataclasses import replace

    from slopeshift.model.covariates import regressors_of

    with pytest.raises(CovariateError, match="on='curvature' of a straight course"):
        regressors_of([covariate], replace(visits, about=about))
    curved = load_model(ROOT / "models/alsfrsr.py").visits(trial)
    (found,) = regressors_of([covariate], replace(curved, about=about))
    assert found.unit.startswith("points/month^2")
    assert (found.shift != 0).any(axis=0).tolist() == [name == "curvature" for name in curved.coefficients]
