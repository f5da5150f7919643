"""Whether the answer depends on what was chosen: the same question under other models, data, priors and biases.

One table, a row per analysis, all with the same columns. `rules` says when a check fires.
"""
