"""Work that other processes can do at once, for tests of how work is divided and resumed."""

import os
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draws:
    """Each replicate draws from its own seed, and takes its time."""

    seed: int
    seconds: float = 0.0
    program: str = ""

    @property
    def key(self):
        return f"draws-{self.seed}"

    def rows(self, replicate):
        time.sleep(self.seconds)
        rng = np.random.default_rng([self.seed, replicate])
        return [{"x": float(x), "nothing": float("nan")} for x in rng.standard_normal(2)]


@dataclass(frozen=True)
class Dying:
    """Replicate 7 takes its process with it."""

    key, program = "dying", ""

    def rows(self, replicate):
        if replicate == 7:
            os._exit(1)
        return [{"x": replicate}]


@dataclass(frozen=True)
class Failing:
    """Replicate 7 cannot be done."""

    key, program = "failing", ""

    def rows(self, replicate):
        if replicate == 7:
            raise ValueError("replicate 7 cannot be done")
        return [{"x": replicate}]
