// Requantization equals its specification: requant.sv against requant_spec.sv, eleven cycles later, for any product.
//
// As in au_proof.sv. The product of accumulator and multiplier has a proof of its own (product_proof.sv); here any number
// stands for it (any_total.sv).
module rounding_proof
  import edge_pkg::*;
(
  input logic               clk,
  input logic               valid,
  input logic signed [63:0] value,
  input logic         [5:0] shift,
  input logic               even,
  input logic signed  [8:0] zero_point,
  input parameter_t         later,  // constants of other cycles
  input logic               odd,
  input logic signed [31:0] clip_lo,
  input logic signed [31:0] clip_hi
);
  localparam int ODD_AT = 7, BOUNDS_AT = 9, LATENCY = 11;
  logic [3:0] cycle = '0;
  logic signed [63:0] value_0;
  logic [5:0] shift_0;
  logic even_0;
  logic signed [8:0] zero_point_0;
  logic signed [31:0] lo_0, hi_0, result, expected;
  requant_spec specification (
    .value(value_0), .shift(shift_0), .even(even_0), .zero_point(zero_point_0), .lo(lo_0), .hi(hi_0),
    .result(expected)
  );

  // Half a unit of the result and the zero point are in the addend (hw/compiler/scaling.py), so in the total.
  wire signed [79:0] one = 80'(1) <<< shift;
  wire signed [79:0] total = 80'(value) + (80'(zero_point) <<< shift) + (shift == '0 ? '0 : one >>> 1);
  parameter_t constants;
  always_comb begin
    constants = later;
    if (cycle == '0) constants = '{multiplier: 32'(total[63:62]), even: even, shift: shift, addend: total[61:0]};
  end
  requant unit (.clk, .valid, .acc('0), .constants, .odd, .clip_lo, .clip_hi, .result);
  always_ff @(posedge clk) begin
    cycle <= cycle + 1'b1;
    if (cycle == '0) {value_0, shift_0, even_0, zero_point_0} <= {value, shift, even, zero_point};
    if (cycle == 4'(BOUNDS_AT)) {lo_0, hi_0} <= {clip_lo, clip_hi};
  end
  always_comb begin
    if (cycle == '0) begin
      assume (valid);
      assume (total == 80'(signed'(total[63:0])));
      assume (shift != '0 || !even);  // nothing to choose between
    end
    if (cycle == 4'(ODD_AT)) assume (odd == zero_point_0[0]);
    if (cycle == 4'(BOUNDS_AT)) assume (clip_lo <= clip_hi);
    if (cycle == 4'(LATENCY)) requantization : assert (result == expected);
  end
endmodule
