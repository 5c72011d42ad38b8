"""Random integer programs for the tests."""

from tests.generate.choices import Choices
from tests.generate.programs import SAMPLES, Case, random_case
from tests.generate.ties import count_ties

__all__ = ["SAMPLES", "Case", "Choices", "count_ties", "random_case"]
