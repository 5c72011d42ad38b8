// Dot product of eight activations with one row of weights, or with two rows of 4-bit weights.
//
// Timing: `w` in cycle t and `x` in cycle t - 1 give the sums in cycle t + 8; `nibbles` goes with `w`. `high` is kept where
// `nibbles` is not set.
// On a chip, and in simulation where UNITS is defined, these are arithmetic units with their multiplier blocks and a
// tree of adders. Otherwise a twin with the same timing stands for them: it delays the operands and does all arithmetic
// in the last cycle, which is several times faster to simulate. A test compares the two.
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
`ifdef ECP5
  `define UNITS
`endif
`ifdef UNITS
  logic signed [16:0] product   [LANES];
  logic signed [17:0] pair      [LANES / 2];
  logic signed [18:0] four      [LANES / 4];
  logic signed [11:0] product_h [LANES];
  logic signed [12:0] pair_h    [LANES / 2];
  logic signed [13:0] four_h    [LANES / 4];
  logic [6:0] mode;
  logic [9*LANES-1:0] x_q;  // `x` comes from one place to all elements: a register of the element's own

  for (genvar lane = 0; lane < LANES; lane++) begin : units
    au unit (
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
`else
  // Rings hold the operands for seven and eight cycles: what is read was written that long before it is overwritten.
  localparam int DELAY = 7;
  logic [9*LANES-1:0] x_ring [DELAY + 1];
  logic [8*LANES-1:0] w_ring [DELAY];
  logic [DELAY-1:0] mode;
  logic [2:0] at, x_at;
  wire [9*LANES-1:0] x_late = x_ring[x_at];
  wire [8*LANES-1:0] w_late = w_ring[at];

  logic signed [19:0] sum;
  logic signed [14:0] sum_high;
  always_comb begin
    sum = '0;
    sum_high = '0;
    if (mode[DELAY-1]) begin
      for (int i = 0; i < LANES; i++) begin
        sum += 20'(signed'(x_late[9*i +: 9])) * 20'(signed'(w_late[8*i +: 4]));
        sum_high += 15'(signed'(x_late[9*i +: 9])) * 15'(signed'(w_late[8*i+4 +: 4]));
      end
    end else begin
      for (int i = 0; i < LANES; i++) sum += 20'(signed'(x_late[9*i +: 9])) * 20'(signed'(w_late[8*i +: 8]));
    end
  end
  always_ff @(posedge clk) begin
    at <= at == 3'(DELAY - 1) ? '0 : at + 1'b1;
    x_at <= x_at + 1'b1;
    x_ring[x_at] <= x;
    w_ring[at] <= w;
    mode <= {mode[DELAY-2:0], nibbles};
    low <= sum;
    if (mode[DELAY-1]) high <= sum_high;
  end
  initial {at, x_at} = '0;
`endif
endmodule
