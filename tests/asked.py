"""The questions that the pinned tests ask of draws and a design: in one place, as the code is called."""

from slopeshift.answers import quantities


def population(draws, design, unit="points"):
    return quantities.population(draws, design, unit)


def patients(draws, design):
    return quantities.patients(draws, design)


def flags(draws, design):
    return quantities.flags(patients(draws, design), draws, design)
