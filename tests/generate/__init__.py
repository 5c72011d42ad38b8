"""Random integer programs for the tests."""

from tests.generate.builder import SAMPLES, Case
from tests.generate.choices import Choices
from tests.generate.layers import LAYERS
from tests.generate.programs import random_case
from tests.generate.ties import count_ties

__all__ = ["LAYERS", "SAMPLES", "Case", "Choices", "count_ties", "random_case"]
