"""slopeshift: did a patient's slope change after each injection, by how much, for whom, and how sure can we be?"""

__version__ = "0.1.0"
