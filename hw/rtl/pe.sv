// Processing element: the dot product of a word, and an accumulator for each of two output channels.
//
// Timing: operands in cycle t are in `low` in cycle t + 9 and in `high` HALVES cycles later, when the array has taken
// the low results of all its halves. `nibbles` goes with the operands. The control of an accumulator comes one cycle
// before its result: t + 8 and t + 8 + HALVES.
module pe
  import edge_pkg::*;
  import pipeline_pkg::*;
(
  input  logic                       clk,
  input  logic                       nibbles,
  input  logic [9*LANES-1:0]         x,
  input  logic [8*LANES-1:0]         w,
  input  accumulate_t                control_low,
  input  accumulate_t                control_high,
  output logic signed [ACC_BITS-1:0] low,
  output logic signed [ACC_BITS-1:0] high
);
  logic signed [19:0] sum;
  logic signed [14:0] sum_high, sum_high_q [HALVES];

  dot units (.clk, .nibbles, .x, .w, .low(sum), .high(sum_high));
  always_ff @(posedge clk) begin
    sum_high_q[0] <= sum_high;
    for (int i = 1; i < HALVES; i++) sum_high_q[i] <= sum_high_q[i-1];
  end

  accumulator low_channel (.clk, .control(control_low), .term(ACC_BITS'(sum)), .acc(low));
  accumulator high_channel (.clk, .control(control_high), .term(ACC_BITS'(sum_high_q[HALVES-1])), .acc(high));
endmodule
