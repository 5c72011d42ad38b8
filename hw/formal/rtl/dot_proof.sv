// The sums of eight products equal their specification: dot.sv nine cycles after `x`, for any products.
//
// As in au_proof.sv, whose products are any numbers here (any_products.sv).
module dot_proof
  import edge_pkg::*;
(
  input logic               clk,
  input logic               nibbles,
  input logic [9*LANES-1:0] x,
  input logic [8*LANES-1:0] w
);
  localparam int WEIGHTS_AT = 1, LATENCY = 9;
  logic [3:0] cycle = '0;
  logic nibbles_0;
  logic [9*LANES-1:0] x_0;
  logic [8*LANES-1:0] w_0;
  logic signed [19:0] low, expected_low;
  logic signed [14:0] high, high_before, expected_high;

  dot unit (.clk, .nibbles, .x, .w, .low, .high);
  always_ff @(posedge clk) begin
    cycle <= cycle + 1'b1;
    high_before <= high;
    if (cycle == '0) x_0 <= x;
    if (cycle == 4'(WEIGHTS_AT)) {nibbles_0, w_0} <= {nibbles, w};
  end
  logic [16:0] given;
  always_comb begin
    expected_low = '0;
    expected_high = '0;
    for (int i = 0; i < LANES; i++) begin
      given = {x_0[9*i +: 9], w_0[8*i +: 8]};
      expected_low += 20'(signed'(given));
      expected_high += 15'(signed'(given[11:0]));
    end
    if (cycle == 4'(LATENCY)) begin
      low_sum : assert (low == expected_low);
      high_sum : assert (high == (nibbles_0 ? expected_high : high_before));
    end
  end
endmodule
