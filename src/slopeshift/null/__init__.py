"""The null reference: what the same trial would show had no injection changed anything.

Parts: `population` says who the patients would be, `trials` draws their values, `reference` places a trial's own
statistics among those of null trials.
"""
