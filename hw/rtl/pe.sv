// Processing element: eight arithmetic units, their sums, and an accumulator for each of two output channels.
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
  input  logic signed [8:0]          x [LANES],
  input  logic        [8*LANES-1:0]  w,
  input  accumulate_t                control_low,
  input  accumulate_t                control_high,
  output logic signed [ACC_BITS-1:0] low,
  output logic signed [ACC_BITS-1:0] high
);
  logic signed [16:0] product   [LANES];
  logic signed [17:0] pair      [LANES / 2];
  logic signed [18:0] four      [LANES / 4];
  logic signed [19:0] sum;
  logic signed [11:0] product_h [LANES];
  logic signed [12:0] pair_h    [LANES / 2];
  logic signed [13:0] four_h    [LANES / 4];
  logic signed [14:0] sum_h     [HALVES + 1];

  for (genvar lane = 0; lane < LANES; lane++) begin : units
    au unit (.clk, .nibbles, .x(x[lane]), .w(w[8*lane +: 8]), .low(product[lane]), .high(product_h[lane]));
  end

  always_ff @(posedge clk) begin
    for (int i = 0; i < LANES / 2; i++) begin
      pair[i]   <= product[2*i] + product[2*i+1];
      pair_h[i] <= product_h[2*i] + product_h[2*i+1];
    end
    for (int i = 0; i < LANES / 4; i++) begin
      four[i]   <= pair[2*i] + pair[2*i+1];
      four_h[i] <= pair_h[2*i] + pair_h[2*i+1];
    end
    sum <= four[0] + four[1];
    sum_h[0] <= four_h[0] + four_h[1];
    for (int i = 1; i <= HALVES; i++) sum_h[i] <= sum_h[i-1];
  end

  accumulator low_channel (.clk, .control(control_low), .term(ACC_BITS'(sum)), .acc(low));
  accumulator high_channel (.clk, .control(control_high), .term(ACC_BITS'(sum_h[HALVES])), .acc(high));
endmodule
