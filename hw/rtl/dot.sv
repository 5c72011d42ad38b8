// Dot product of eight activations with one row of weights, or with two rows of 4-bit weights.
//
// Timing: `w` in cycle t and `x` in cycle t - 1 give the sums in cycle t + 8; `nibbles` goes with `w`. `high` is kept where
// `nibbles` is not set. The last LOGIC_UNITS of the eight arithmetic units have no multiplier block.
module dot
  import edge_pkg::*;
(
  input  logic                clk,
  input  logic                nibbles,
  input  logic [9*LANES-1:0]  x,        // signed, 9 bits each
  input  logic [8*LANES-1:0]  w,        // 8 bits each
  output logic signed [19:0]  low,
  output logic signed [14:0]  high
);
  logic signed [16:0] product   [LANES];
  logic signed [17:0] pair      [LANES / 2];
  logic signed [18:0] four      [LANES / 4];
  logic signed [11:0] product_h [LANES];
  logic signed [12:0] pair_h    [LANES / 2];
  logic signed [13:0] four_h    [LANES / 4];
  logic [6:0] mode;
  logic [9*LANES-1:0] x_q;  // `x` comes from one place to all elements: a register of the element's own

  for (genvar lane = 0; lane < LANES - LOGIC_UNITS; lane++) begin : units
    au unit (
      .clk, .nibbles, .x(x_q[9*lane +: 9]), .w(w[8*lane +: 8]), .low(product[lane]), .high(product_h[lane])
    );
  end
  for (genvar lane = LANES - LOGIC_UNITS; lane < LANES; lane++) begin : logic_units
    au_logic unit (
      .clk, .nibbles, .x(x_q[9*lane +: 9]), .w(w[8*lane +: 8]), .low(product[lane]), .high(product_h[lane])
    );
  end
  always_ff @(posedge clk) begin
    x_q <= x;
    mode <= {mode[5:0], nibbles};
    for (int i = 0; i < LANES / 2; i++) begin
      pair[i]   <= product[2*i] + product[2*i+1];
      pair_h[i] <= product_h[2*i] + product_h[2*i+1];
    end
    for (int i = 0; i < LANES / 4; i++) begin
      four[i]   <= pair[2*i] + pair[2*i+1];
      four_h[i] <= pair_h[2*i] + pair_h[2*i+1];
    end
    low <= four[0] + four[1];
    if (mode[6]) high <= four_h[0] + four_h[1];
  end
endmodule
