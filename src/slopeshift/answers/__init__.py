"""Posterior draws turned into the numbers that are reported."""
