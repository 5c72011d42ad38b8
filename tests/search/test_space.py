"""Spaces: genomes that mean the same network are equal, and every operator stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeconv.errors import UsageError
from edgeconv.models.pulse.space import ELASTIC, default_values, pulse_space
from edgeconv.search.space import Choice, Genome, Space

SMALL = Space(
    "small",
    (
        Choice("depth", (1, 2)),
        Choice("a.width", (4, 8, 16)),
        Choice("b.width", (4, 8, 16), ("depth", 2)),
        Choice("b.kind", ("plain", "separable"), ("depth", 2)),
    ),
)
SPACES = (SMALL, pulse_space())


def test_the_size_is_the_number_of_different_networks() -> None:
    genomes = list(SMALL.grid())
    assert len(set(genomes)) == len(genomes) == SMALL.size == 3 + 3 * 3 * 2
    assert len({tuple(SMALL.values(genome).items()) for genome in genomes}) == SMALL.size


def test_the_pulse_space_has_the_size_that_its_choices_make() -> None:
    layer = 5 * 3 * 5 * 5
    assert pulse_space().size == (layer**3 + layer**4 + layer**5) * 4 * 5 * 5 * 5


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@given(seed=st.integers(0, 2**32))
def test_sampling_mutation_and_crossover_give_repaired_genomes(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = space.sample(rng), space.sample(rng)
    children = [space.mutate(one, rng), space.mutate(one, rng, 0.9), space.crossover(one, other, rng)]
    for genome in [one, other, *children]:
        assert space.repair(genome) == genome
        assert space.genome(space.values(genome)) == genome
        assert space.parse(space.text(genome)) == genome
    assert children[0] != one
    for index, gene in enumerate(children[2]):
        assert gene in (one[index], other[index], 0)


def test_repair_bounds_indices_and_clears_choices_that_do_not_count() -> None:
    assert SMALL.repair((0, 9, 2, 1)) == (0, 2, 0, 0)
    assert SMALL.repair((1, -3, 2, 1)) == (1, 0, 2, 1)


def test_choices_that_do_not_count_have_no_hot_column() -> None:
    shallow, deep = SMALL.encode([(0, 1, 0, 0), (1, 1, 2, 0)])
    assert shallow.tolist() == [1, 0] + [0, 1, 0] + [0, 0, 0] + [0, 0]
    assert deep.tolist() == [0, 1] + [0, 1, 0] + [0, 0, 1] + [1, 0]


def test_different_genomes_have_different_features() -> None:
    rng = np.random.default_rng(3)
    genomes = sorted({pulse_space().sample(rng) for _ in range(200)})
    assert len(np.unique(pulse_space().features(genomes), axis=0)) == len(genomes)


def test_a_genome_reads_as_layers_and_their_properties() -> None:
    assert SMALL.text((1, 1, 2, 1)) == "depth=2  a width=8  b width=16 kind=separable"
    assert SMALL.text((0, 1, 0, 0)) == "depth=1  a width=8"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 1}, "a genome of space 'small' without a.width"),
        ({"depth": 3, "a.width": 4}, "depth = 3\n  expected: one of 1, 2"),
        ({"depth": 1, "a.width": 4, "c": 1}, "space 'small' has no choice c"),
    ],
)
def test_values_outside_the_space_are_refused_by_name(values: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match="^" + message.replace("(", r"\(")):
        SMALL.genome(values)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((Choice("a", (1,)), Choice("a", (2,))), "no name twice"),
        ((Choice("a", (1,), ("b", 1)),), "choice 'a' needs 'b'"),
        ((Choice("a", ("x",)), Choice("b", (1,), ("a", 1))), "choice 'a', which others need"),
    ],
)
def test_contradictory_spaces_are_refused(choices: tuple[Choice, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Space("wrong", choices)


def test_a_choice_needs_different_values_and_a_plain_name() -> None:
    with pytest.raises(UsageError, match="none twice"):
        Choice("a", (1, 1))
    with pytest.raises(UsageError, match="without blanks"):
        Choice("a b", (1,))


def test_the_default_pulse_network_lies_in_the_space_with_its_known_cost() -> None:
    genome: Genome = pulse_space().genome(default_values())
    layers = ELASTIC.layers(pulse_space().values(genome))
    # models/pulse/network.py: 284,160 multiply-accumulates.
    assert [layer.macs for layer in layers] == [5120, 81920, 81920, 81920, 32768, 128]
    assert [layer.inputs for layer in layers][-2:] == [512, 64]
    *layered, beyond = ELASTIC.terms(pulse_space().values(genome))
    terms = np.array(layered).reshape(-1, 10)
    assert terms[:, 1].sum() == pytest.approx(sum(layer.macs for layer in layers) / 1e3)
    # 16 outputs in one vector at 64 positions, two groups of four taps; two vectors at 32, 20 groups.
    assert terms[:2, 7].tolist() == [64 * 2 / 1e2, 2 * 32 * 20 / 1e2]
    assert not terms[:, 8:].any()
    assert terms[4].tolist() == [0] * 10  # the fifth convolution is not there
    # 80 + 2560 + 5120 + 10240 + 32768 + 128 weights.
    assert beyond == (50896 - 49152) / 1e3
    assert ELASTIC.terms(default_values() | {"hidden.width": 32})[-1] == 0


def test_terms_of_convolutions_into_few_channels_are_those_of_their_kernel() -> None:
    values = default_values() | {"conv3.width": 4}
    terms = np.array(ELASTIC.terms(values)[:-1]).reshape(-1, 10)
    # 4 outputs at 16 positions, 160 taps in three vectors of 64.
    assert terms[2, 6:].tolist() == [0, 0, 4 * 16 / 10, 3 * 4 * 16 / 1e2]
    # At 8 positions no vector of them can be filled: one vector for the channels of each, 5 groups of 4 taps.
    values |= {"conv4.width": 4}
    assert np.array(ELASTIC.terms(values)[:-1]).reshape(-1, 10)[3, 6:].tolist() == [8 / 10, 8 * 5 / 1e2, 0, 0]
