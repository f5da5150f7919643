"""The questions that the pinned tests ask of draws and a design: in one place, as the code is called."""

from posteriors import posterior_from

from slopeshift.answers import quantities


def population(draws, design, unit="points"):
    return quantities.population(posterior_from(draws, design, unit=unit))


def patients(draws, design):
    return quantities.patients(posterior_from(draws, design))


def change_curve(draws, design):
    return quantities.change_curve(posterior_from(draws, design))


def flags(draws, design):
    posterior = posterior_from(draws, design)
    return quantities.flags(quantities.patients(posterior), posterior)
