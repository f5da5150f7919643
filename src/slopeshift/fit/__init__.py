"""A model sampled on a trial, and what is kept of it: the only place that calls a sampler."""
