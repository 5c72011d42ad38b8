// The arithmetic unit equals its specification: au.sv, or au_logic.sv where LOGIC is defined, against au_spec.sv, five
// cycles later.
//
// Registers hold anything in cycle 0, and inputs are anything in every cycle: what is shown for the operands of cycle 0
// is shown for those of every cycle.
module au_proof (
  input logic              clk,
  input logic              nibbles,
  input logic signed [8:0] x,
  input logic        [7:0] w
);
  localparam int LATENCY = 5;
  logic [2:0] cycle = '0;
  logic signed [16:0] low, expected_low;
  logic signed [11:0] high, high_before, expected_high;
  logic nibbles_0;
  logic signed [8:0] x_0;
  logic [7:0] w_0;

`ifdef LOGIC
  au_logic unit (.clk, .nibbles, .x, .w, .low, .high);
`else
  au unit (.clk, .nibbles, .x, .w, .low, .high);
`endif
  au_spec specification (.nibbles(nibbles_0), .x(x_0), .w(w_0), .low(expected_low), .high(expected_high));
  always_ff @(posedge clk) begin
    cycle <= cycle + 1'b1;
    high_before <= high;
    if (cycle == '0) {nibbles_0, x_0, w_0} <= {nibbles, x, w};
  end
  always_comb begin
    if (cycle == '0) assume (x != -9'sd256);  // a byte less a byte
    if (cycle == 3'(LATENCY)) begin
      low_product : assert (low == expected_low);
      high_product : assert (high == (nibbles_0 ? expected_high : high_before));
    end
  end
endmodule
