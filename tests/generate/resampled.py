"""Linear resampling in random programs."""

from __future__ import annotations

from edgeconv.ir import operators as ops
from tests.generate.builder import Builder


def resize_linear(b: Builder) -> None:
    """Doubling, or any neighbours with any coefficients; at times with zeros around."""
    name = b.latest((3, 4))
    if name is None:
        return
    choose, x = b.choose, b.types[name]
    lists: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = []
    denominators = []
    for extent in x.shape[2:]:
        doubles = choose.chance(50)
        denominator = 4 if doubles else choose.pick((1, 2, 3, 7, 10, 255))
        if doubles:
            pairs = [divmod(min(max(2 * j - 1, 0), 4 * extent - 4), 4) for j in range(2 * extent)]
        else:
            outputs = choose.integer(1, 9)
            pairs = [(choose.integer(0, extent - 1), choose.integer(0, denominator)) for _ in range(outputs)]
        indices = tuple(index for index, _ in pairs)
        right = tuple(weight if index + 1 < extent else 0 for index, weight in pairs)
        outside = choose.integer(0, len(pairs) - 1) if choose.chance(10) else -1
        left = tuple(0 if j == outside else denominator - weight for j, weight in enumerate(right))
        right = tuple(0 if j == outside else weight for j, weight in enumerate(right))
        lists.append((indices, left, right))
        denominators.append(denominator)
    indices, left, right = zip(*lists, strict=True)
    zero_point = b.zero_point(x.dtype)
    reach = b.farthest(name, zero_point)
    for denominator in denominators:
        reach *= denominator
    operator = ops.ResizeLinear(
        b.name("acc"), name, b.accumulator_type(reach), indices, left, right, tuple(denominators), zero_point
    )
    b.finish_accumulator(b.apply(operator))
