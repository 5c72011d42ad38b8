// Requantization as docs/arithmetic.md has it: clip(round(value / 2^shift) + zero_point, lo, hi).
//
// `value` is what the form mul_shift rounds: acc·m + b. With shift 0 nothing is rounded.
module requant_spec (
  input  logic signed [63:0] value,
  input  logic         [5:0] shift,
  input  logic               even,  // of two equally near integers the even one, else the upper one
  input  logic signed  [8:0] zero_point,
  input  logic signed [31:0] lo,
  input  logic signed [31:0] hi,
  output logic signed [31:0] result
);
  typedef logic signed [79:0] wide_t;  // holds every number on the way
  wide_t unit, below, rest, exact;
  logic up;
  always_comb begin
    unit = wide_t'(1) <<< shift;
    below = wide_t'(value) >>> shift;
    rest = wide_t'(value) - (below <<< shift);  // of 0 to unit - 1
    up = 2 * rest > unit || (2 * rest == unit && (!even || below[0]));
    exact = below + wide_t'(zero_point) + wide_t'(up);
    result = exact < wide_t'(lo) ? lo : exact > wide_t'(hi) ? hi : exact[31:0];
  end
endmodule
