"""The ONNX function `edgeconv::SelectiveScan`: the integer selective scan written with ONNX's own operators.

Any runtime that inlines functions computes the bits of docs/arithmetic.md with it. All numbers are integers below 2⁵³
in float64 or quotients of these by powers of two, so nothing rounds but `Round`, half to even. What has no time in it
is computed for all times at once; `Scan` is left with the recurrence.
"""

from __future__ import annotations

import onnx
import onnx.parser

__all__ = ["DOMAIN", "DOMAIN_VERSION", "INPUTS", "NAME", "is_scan_function", "scan_function"]

DOMAIN, NAME, DOMAIN_VERSION = "edgeconv", "SelectiveScan", 1

INPUTS = ("x", "dt", "b", "c", "a", "skip", "steps", "exp_high", "exp_low", "decay_shift", "input_shift")
"""int8 x, dt (n, channels, length), b, c (n, states, length); uint8 a (channels, states); int32 skip (channels);
int32 steps (1 or channels, 256), the step size for each dt + 128, of 16 bits without sign; int32 tables of exp (64);
uint8 shifts (channels)."""

_TEXT = """
<domain: "edgeconv", opset_import: ["" : OPSET]>
SelectiveScan <exp_bits, state_bits> (INPUTS) => (y)
{
  one = Constant <value = uint64 {1}> ()
  one_real = Constant <value = double {1}> ()
  minus_one = Constant <value_ints = [-1]> ()
  axis_1 = Constant <value_ints = [1]> ()
  axis_2 = Constant <value_ints = [2]> ()
  axis_3 = Constant <value_ints = [3]> ()
  axes_cut = Constant <value_ints = [0]> ()
  four = Constant <value = double {4}> ()
  sixteen = Constant <value = double {16}> ()
  sixty_four = Constant <value = double {64}> ()
  two_hundred_fifty_six = Constant <value = double {256}> ()

  exp_bits_given = Constant <value_int: int = @exp_bits> ()
  exp_bits_unsigned = Cast <to = 13> (exp_bits_given)
  unit_integer = BitShift <direction = "LEFT"> (one, exp_bits_unsigned)
  unit = Cast <to = 11> (unit_integer)
  state_bits_given = Constant <value_int: int = @state_bits> ()
  state_bits_unsigned = Cast <to = 13> (state_bits_given)
  states_integer = BitShift <direction = "LEFT"> (one, state_bits_unsigned)
  states_real = Cast <to = 11> (states_integer)
  two = Add (one_real, one_real)
  state_end = Div (states_real, two)
  state_most = Sub (state_end, one_real)
  state_least = Neg (state_end)
  decay_shift_unsigned = Cast <to = 13> (decay_shift)
  decay_integer = BitShift <direction = "LEFT"> (one, decay_shift_unsigned)
  decay_real = Cast <to = 11> (decay_integer)
  decay_divisor = Unsqueeze (decay_real, axis_1)
  input_shift_unsigned = Cast <to = 13> (input_shift)
  input_integer = BitShift <direction = "LEFT"> (one, input_shift_unsigned)
  input_real = Cast <to = 11> (input_integer)
  input_divisor = Unsqueeze (input_real, axis_1)

  dt_integer = Cast <to = 7> (dt)
  rows_shape = Shape <start = 0, end = 1> (steps)
  rows = Squeeze (rows_shape, axes_cut)
  row_first = Constant <value_int = 0> ()
  row_step = Constant <value_int = 1> ()
  row = Range (row_first, rows, row_step)
  row_length = Constant <value_int = 256> ()
  row_start = Mul (row, row_length)
  lowest = Constant <value_int = 128> ()
  row_origin = Add (row_start, lowest)
  row_origins = Unsqueeze (row_origin, axis_1)
  step_index = Add (dt_integer, row_origins)
  steps_flat = Reshape (steps, minus_one)
  delta_integer = Gather (steps_flat, step_index)
  delta_real = Cast <to = 11> (delta_integer)
  x_real = Cast <to = 11> (x)
  b_real = Cast <to = 11> (b)
  c_real = Cast <to = 11> (c)
  delta = Transpose <perm = [2, 0, 1]> (delta_real)
  x_first = Transpose <perm = [2, 0, 1]> (x_real)
  b_first = Transpose <perm = [2, 0, 1]> (b_real)
  c_first = Transpose <perm = [2, 0, 1]> (c_real)

  a_real = Cast <to = 11> (a)
  delta_column = Unsqueeze (delta, axis_3)
  exponent = Mul (delta_column, a_real)
  exponent_units = Div (exponent, decay_divisor)
  exponent_rounded = Round (exponent_units)
  reach = Mul (unit, sixteen)
  exponent_most = Sub (reach, one_real)
  v = Min (exponent_rounded, exponent_most)
  high_step = Div (unit, four)
  low_step = Div (unit, two_hundred_fifty_six)
  high_part = Div (v, high_step)
  high_index = Floor (high_part)
  low_part = Div (v, low_step)
  low_whole = Floor (low_part)
  low_base = Mul (high_index, sixty_four)
  low_index = Sub (low_whole, low_base)
  rest_base = Mul (low_whole, low_step)
  rest = Sub (v, rest_base)
  high_place = Cast <to = 7> (high_index)
  low_place = Cast <to = 7> (low_index)
  exp_high_real = Cast <to = 11> (exp_high)
  exp_low_real = Cast <to = 11> (exp_low)
  high = Gather (exp_high_real, high_place)
  low = Gather (exp_low_real, low_place)
  both = Mul (high, low)
  coarse_units = Div (both, unit)
  coarse = Round (coarse_units)
  linear = Sub (unit, rest)
  corrected = Mul (coarse, linear)
  decay_units = Div (corrected, unit)
  decay = Round (decay_units)

  step_input = Mul (delta, x_first)
  step_column = Unsqueeze (step_input, axis_3)
  b_row = Unsqueeze (b_first, axis_2)
  c_row = Unsqueeze (c_first, axis_2)
  driven_exact = Mul (step_column, b_row)
  driven_units = Div (driven_exact, input_divisor)
  driven = Round (driven_units)

  state_shape = Shape <start = 1> (decay)
  state_begin = ConstantOfShape <value = double[1] {0}> (state_shape)
  state_last, sums = Scan <num_scan_inputs = 3, body = step (double[n, d, s] state, double[n, d, s] decay_t,
      double[n, d, s] driven_t, double[n, o, s] c_t) => (double[n, d, s] state_next, double[n, d] sum_t)
  {
    kept_exact = Mul (decay_t, state)
    kept_units = Div (kept_exact, unit)
    kept = Round (kept_units)
    moved = Add (kept, driven_t)
    moved_below = Min (moved, state_most)
    state_next = Max (moved_below, state_least)
    read = Mul (state_next, c_t)
    sum_t = ReduceSum <keepdims = 0> (read, axis_2)
  }> (state_begin, decay, driven, c_row)

  sums_last = Transpose <perm = [1, 2, 0]> (sums)
  skip_real = Cast <to = 11> (skip)
  skip_column = Unsqueeze (skip_real, axis_1)
  skipped = Mul (skip_column, x_real)
  total = Add (sums_last, skipped)
  y = Cast <to = 6> (total)
}
"""


def scan_function(opset: int) -> onnx.FunctionProto:
    """The function for a version of ONNX's operator set, 17 or newer: a model and its functions import one version."""
    return onnx.parser.parse_function(_TEXT.replace("OPSET", str(opset)).replace("INPUTS", ", ".join(INPUTS)))


def is_scan_function(function: onnx.FunctionProto) -> bool:
    """Whether a function is exactly this one; notes for people do not count."""
    versions = [entry.version for entry in function.opset_import if entry.domain in ("", "ai.onnx")]
    if (function.domain, function.name) != (DOMAIN, NAME) or len(versions) != 1:
        return False
    return _without_notes(function) == _without_notes(scan_function(versions[0]))


def _without_notes(function: onnx.FunctionProto) -> onnx.FunctionProto:
    bare = onnx.FunctionProto()
    bare.CopyFrom(function)
    bare.ClearField("doc_string")
    bare.ClearField("metadata_props")
    for node in bare.node:
        for field in ("doc_string", "name", "metadata_props"):
            node.ClearField(field)
    return bare
