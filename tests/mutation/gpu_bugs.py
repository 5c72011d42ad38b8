"""Seeded bugs in the kernels of a GPU, found with their threads as loops."""

from __future__ import annotations

from tests.mutation.bugs import Bug

_C = "codegen.cuda"
_PRODUCTS = f"{_C}.kernels.products"


def _bug(about: str, module: str, name: str, old: str, new: str, first: str = "conv") -> Bug:
    return Bug(about, module, name, old, new, first, "cuda")


GPU_BUGS = (
    _bug(
        "lanes that load the rows of a fragment in the order of its columns",
        f"{_C}.tensor_core",
        "multiply_all_lanes",
        "(row >> 3) + 2 * (k >> 4)",
        "2 * (row >> 3) + (k >> 4)",
    ),
    _bug(
        "weights packed with words before lanes",
        _PRODUCTS,
        "_TensorCores",
        "split.transpose(0, 2, 1, 4, 3, 5)",
        "split.transpose(0, 2, 1, 3, 4, 5)",
    ),
    _bug(
        "a bias in the lower half of a tile alone",
        _PRODUCTS,
        "_TensorCores",
        'acc.store(lane, FRAGMENT_WORDS["c"] * block + 2 * half + word, start)',
        'acc.store(lane, FRAGMENT_WORDS["c"] * block + 2 * half + word, start if half else const(0))',
    ),
    _bug(
        "rows of a tile stored without asking whether there are so many",
        _PRODUCTS,
        "_TensorCores",
        "with _when(row < inside):",
        "with _when(row >= 0):",
    ),
    _bug(
        "tiles counted without the last one, which is not full",
        _PRODUCTS,
        "_TensorCores",
        "team.active * rows.count + (ROWS - 1), const(ROWS)",
        "team.active * rows.count, const(ROWS)",
    ),
    _bug(
        "two neighbouring channels stored in each other's place",
        _PRODUCTS,
        "_TensorCores",
        "tirx.bitwise_or(values[0], tirx.shift_left(values[1], const(8)))",
        "tirx.bitwise_or(values[1], tirx.shift_left(values[0], const(8)))",
    ),
    _bug(
        "activations that lie across two words, shifted half as far",
        _PRODUCTS,
        "load_word",
        "tirx.bitwise_and(offset, const(3)) * 8",
        "tirx.bitwise_and(offset, const(3)) * 4",
    ),
    _bug(
        "dot products without the bias",
        _PRODUCTS,
        "_DotProducts",
        'acc.store("int32", 0, self._bias.load([channel]))',
        'acc.store("int32", 0, const(0))',
    ),
    _bug(
        "windows of the next row instead of the next position",
        _PRODUCTS,
        "conv_rows",
        "line * by_row + (row - line * g.row_length) * by_position",
        "line * by_position + (row - line * g.row_length) * by_row",
    ),
    _bug(
        "threads that take samples which are not there",
        f"{_C}.emit",
        "emit_loops",
        "active = bind(tirx.min(const(samples), count - first))",
        "active = const(samples)",
        "requant",
    ),
    _bug(
        "samples of a block with one arena for all",
        f"{_C}.builder",
        "SampleView",
        "self.sample() * self.stride",
        "self.sample() * 0 * self.stride",
    ),
    _bug(
        "the halo behind an image left as it was",
        f"{_C}.emit",
        "_fill_halo",
        "halo_runs(layout, per_sample):",
        "halo_runs(layout, per_sample)[:-1]:",
    ),
    _bug(
        "indices of a nest without the outermost loop",
        f"{_C}.builder",
        "split_index",
        "digits.append(rest)",
        "digits.append(const(0))",
    ),
    _bug(
        "lanes without a state that add the last one's once more",
        f"{_C}.kernels.scan",
        "_WarpScan",
        "own < const(self._states)",
        "own < const(self._width)",
        "selective_scan",
    ),
)
