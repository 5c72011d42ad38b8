"""The seeded bugs: where they are, what is changed, and which random graphs are to find them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One piece of source of edgeconv replaced by another.

    Attributes:
        about: what is wrong then.
        first: the layer that the random graphs begin with.
        isa: the instruction set whose code is compared; "" for a bug in the proofs, found by the certificate's check.
        turn: which kinds of forms are asked for first (`forms.proved_forms`).
    """

    about: str
    module: str
    name: str
    old: str
    new: str
    first: str
    isa: str = "generic"
    turn: int | None = None


_K = "codegen.kernels"
VNNI = "avx512vnni"

KERNEL_BUGS = (
    Bug(
        "padding of signed tensors without the bias of their memory",
        "codegen.halo",
        "fill_halo",
        "layout.halo.value + layout.storage.bias",
        "layout.halo.value",
        "conv",
        VNNI,
    ),
    Bug(
        "of a vector for two positions both halves hold the first",
        "codegen.isa.vectors",
        "join_halves",
        "range(lanes + half, 2 * lanes)",
        "range(half, lanes)",
        "conv",
        VNNI,
    ),
    Bug("strides and dilations swapped", f"{_K}.conv", "_emit", "p * s + t * d - b", "p * d + t * s - b", "conv"),
    Bug("every group reads the first channels", f"{_K}.conv", "_emit", "group * w.shape[1] + i", "i", "conv"),
    Bug(
        "bias of a convolution dropped",
        f"{_K}.conv",
        "conv_constants",
        "constants[operator.bias].array",
        "0 * constants[operator.bias].array",
        "conv",
        VNNI,
    ),
    Bug(
        "halo of padded tensors not written",
        "codegen.halo",
        "fill_halo",
        "layout.halo is None or",
        "True or",
        "conv",
        VNNI,
    ),
    Bug(
        "remainder of a run of activations dropped",
        f"{_K}.product",
        "Runs",
        "-(-self.length // size)",
        "max(1, self.length // size)",
        "conv",
        VNNI,
    ),
    Bug(
        "saturation bound of vectors one too high",
        f"{_K}.panels",
        "Finish",
        "self._grid.hi + bias",
        "self._grid.hi + 1 + bias",
        "matmul",
        VNNI,
    ),
    Bug(
        "thresholds of vectors off by one",
        f"{_K}.panel_forms",
        "_columns_steps",
        "(thresholds - 1)",
        "(thresholds)",
        "matmul",
        VNNI,
        4,
    ),
    Bug(
        "vectors round up where ties go to even",
        f"{_K}.panel_forms",
        "_columns_mul_shift",
        "(1 << (form.shift - 1)) - form.half_even",
        "1 << (form.shift - 1)",
        "matmul",
        VNNI,
        3,
    ),
    Bug(
        "rounding constant of the float form off by one",
        f"{_K}.panel_forms",
        "_values_fma_f32",
        "MAGIC_F32_BITS - finish.zero",
        "MAGIC_F32_BITS - 1 - finish.zero",
        "conv",
        VNNI,
        0,
    ),
    Bug(
        "ties round up instead of to even",
        f"{_K}.requantizer",
        "_below_half",
        " - form.half_even",
        "",
        "cast",
        "generic",
        0,
    ),
    Bug(
        "no lower saturation bound",
        f"{_K}.requantizer",
        "Requantizer",
        "tirx.max(tirx.min(rounded, hi), lo)",
        "tirx.min(rounded, hi)",
        "cast",
    ),
    Bug(
        "division rounds ties to even whatever the mode",
        f"{_K}.requantizer",
        "divided",
        "floor >= zero",
        "twice < zero",
        "cast",
        "generic",
        2,
    ),
    Bug(
        "zero points of a product swapped",
        f"{_K}.elementwise",
        "_mul",
        "operator.y_zero_point",
        "operator.x_zero_point",
        "mul",
    ),
    Bug("table read one entry late", f"{_K}.elementwise", "_table", "const(lowest)", "const(lowest - 1)", "table"),
    Bug(
        "addend of a sum dropped",
        f"{_K}.elementwise",
        "_ratio_sum",
        "total = addend(channel)",
        "total = 0 * addend(channel)",
        "add",
        "generic",
        1,
    ),
    Bug(
        "maximum never below zero",
        f"{_K}.pool",
        "_max_pool",
        "const(max(type_.dtype.lo, np.iinfo(element).min), element)",
        "const(0, element)",
        "max_pool",
    ),
    Bug(
        "a window may read one position past the end",
        f"{_K}.pool",
        "taps_inside",
        "at < spatial[axis]",
        "at <= spatial[axis]",
        "avg_pool",
    ),
    Bug(
        "average divides by all taps at the border",
        f"{_K}.pool",
        "border_weights",
        "counts = operator.window.counts(shape, operator.counted_pads)",
        "counts = operator.window.counts(shape, operator.pads)",
        "avg_pool",
    ),
    Bug("steps of a slice ignored", f"{_K}.movement", "_slice", "index * stride", "index", "slice"),
    Bug(
        "transpose by the inverse permutation",
        f"{_K}.movement",
        "_transpose",
        "operator.permutation.index(axis)",
        "operator.permutation[axis]",
        "transpose",
    ),
    Bug(
        "parts of a concatenation overlap",
        f"{_K}.movement",
        "_concat",
        ".shape[operator.axis]",
        ".shape[operator.axis] - 1",
        "concat",
    ),
    Bug(
        "border is zero instead of the pad value",
        f"{_K}.movement",
        "_pad",
        "tirx.const(operator.value",
        "tirx.const(0",
        "pad",
    ),
    Bug(
        "resize reads its indices backwards",
        f"{_K}.movement",
        "_resize",
        "np.array(indices, np.int32)",
        "np.array(indices[::-1], np.int32)",
        "resize",
    ),
    Bug(
        "quantize rounds all ties to even",
        f"{_K}.ends",
        "_by_division",
        "grid.rounding is Rounding.HALF_EVEN",
        "True",
        "reshape",
    ),
    Bug(
        "memory of a tensor reused one step early",
        "codegen.plan",
        "_place",
        "first <= other_last and other_first <= last",
        "first < other_last and other_first < last",
        "add",
    ),
    Bug(
        "the last of equal values taken for the first",
        f"{_K}.reduce",
        "_argmax",
        "if operator.last",
        "if not operator.last",
        "argmax",
    ),
    Bug(
        "a sum over rows that keeps the zero point",
        f"{_K}.reduce_rows",
        "_sum_bucket",
        "lanes) - zero",
        "lanes)",
        "reduce_sum",
        VNNI,
    ),
    Bug("a variance without the mean", f"{_K}.rows_scalar", "_normalize", "- mean * mean", "- 0 * mean", "normalize"),
    Bug(
        "ties of a rescale always down",
        f"{_K}.row_parts",
        "rescaler",
        '(scaled >> shift) & const(1, "int64")',
        'const(0, "int64")',
        "normalize",
    ),
    Bug(
        "the flipped bit of the right side forgotten",
        f"{_K}.matmul_dynamic",
        "_corrections",
        "storage.bias - _FLIP",
        "storage.bias",
        "dynamic_matmul",
        VNNI,
    ),
    Bug(
        "what lies behind the inner extent counts",
        f"{_K}.matmul_dynamic",
        "_copy_words",
        "shape.groups - 1) & mask",
        "shape.groups - 1)",
        "dynamic_matmul",
        VNNI,
    ),
)

PROOF_BUGS = (
    Bug(
        "upper end of the reachable range one too small",
        "integer.ranges",
        "_sums",
        "int(c) + b[1]",
        "int(c) + b[1] - 1",
        "conv",
        "",
    ),
    Bug(
        "last threshold skipped",
        "integer.steps",
        "step_function",
        "bottom + 1, top + 1",
        "bottom + 1, top",
        "matmul",
        "",
        4,
    ),
    Bug(
        "ties reach the odd level",
        "integer.steps",
        "_first_reaching",
        "(levels & 1) == 0",
        "(levels & 1) == 1",
        "cast",
        "",
        4,
    ),
    Bug(
        "any multiplier accepted",
        "integer.search",
        "_refute",
        "return results",
        "return [None for _ in results]",
        "mul",
        "",
        3,
    ),
    Bug(
        "falling thresholds one too high",
        "integer.search",
        "_search_steps",
        "steps.changes - 1",
        "steps.changes",
        "cast",
        "",
        4,
    ),
    Bug(
        "a form that misses the offset counts as exact",
        "integer.proof",
        "exact_by_construction",
        "len(exact) == len(numbers) and all(",
        "any(",
        "cast",
        "",
        3,
    ),
    Bug(
        "shortcut of float sums unchecked",
        "integer.sums",
        "_first_proved",
        "if refutation is None:",
        "if True:",
        "add",
        "",
        0,
    ),
)
