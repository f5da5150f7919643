"""What is used of ArviZ that it does not promise to keep: named here, and imported from nowhere else."""

from arviz_stats.base.array import array_stats
from arviz_stats.ecdf_utils import ecdf_pit, get_pointwise_confidence_band, simulate_confidence_bands

__all__ = ["array_stats", "ecdf_pit", "get_pointwise_confidence_band", "simulate_confidence_bands"]
