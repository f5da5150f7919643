"""The null reference: what the same trial would show had no injection changed anything.

`population` says who the patients would be, and `trials` draws their values at a trial's own visits. `reference` places
the trial's own statistics among those of null trials; `claim` does the same to a published count. `rates` refits null
trials with a model, to see how often its own rules fire, and `pseudo` moves injections to where nothing happened; both
fit by `slopeshift.refit` and are done by `slopeshift.work`. `study` does what is asked of one trial.
"""
