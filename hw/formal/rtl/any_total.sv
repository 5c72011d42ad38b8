// Stands for wide_multiply in the proof of the rounding: `total` is any number, of which multiplier and addend bring the
// bits.
//
// Timing as in wide_multiply.sv.
module wide_multiply
  import edge_pkg::*;
(
  input  logic                       clk,
  input  logic                       valid,
  input  logic [3:0]                 step,
  input  logic signed [ACC_BITS-1:0] acc,
  input  logic signed [31:0]         multiplier,
  input  logic signed [61:0]         addend,
  output logic signed [63:0]         total
);
  logic signed [63:0] given [4];
  always_ff @(posedge clk) begin
    given[0] <= {multiplier[1:0], addend};
    for (int i = 1; i < 4; i++) given[i] <= given[i-1];
    total <= given[3];
  end
  wire unused = &{valid, step, acc, multiplier[31:2]};
endmodule
