// Stands for au in the proof of the sums: its products are any numbers, of which operands bring the bits.
//
// Timing as in au.sv. Either product can have every value; they need not fit each other, since they meet nowhere.
module au (
  input  logic               clk,
  input  logic               nibbles,
  input  logic signed [8:0]  x,
  input  logic        [7:0]  w,
  output logic signed [16:0] low,
  output logic signed [11:0] high
);
  logic [16:0] given [4];
  always_ff @(posedge clk) begin
    given[0] <= {x, w};
    for (int i = 1; i < 4; i++) given[i] <= given[i-1];
    low <= given[3];
    high <= given[3][11:0];
  end
  wire unused = nibbles;
endmodule
