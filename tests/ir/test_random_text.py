"""Random programs: the text form and the stored form give back equal programs, and the generator is worth its name."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeconv import reference
from edgeconv.ir import from_text, load_program, save_program, to_text
from edgeconv.ir.operators import OPERATORS
from tests.generate import SAMPLES, Choices, count_ties, random_case


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_programs_survive_text_and_storage(data: st.DataObject) -> None:
    program = random_case(Choices(data)).program
    assert from_text(to_text(program), program.constants) == program
    with tempfile.TemporaryDirectory() as folder:
        save_program(program, Path(folder))
        assert load_program(Path(folder)) == program


def test_generator_reaches_every_operator_and_makes_ties() -> None:
    seen: Counter[str] = Counter()
    with_ties = 0
    for seed in range(150):
        case = random_case(Choices.seeded(seed))
        seen.update(operator.keyword for operator in case.program.operators)
        with_ties += count_ties(case) > 0
        for name, array in reference.run(case.program, case.inputs).items():
            assert array.shape == (SAMPLES, *case.program.types[name].shape)
    assert set(seen) == set(OPERATORS)
    assert with_ties >= 0.3 * 150
