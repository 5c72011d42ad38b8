// Arithmetic unit whose multiplier is made of logic, for configurations with more units than the chip has blocks: same
// inputs, outputs and timing as au.sv.
//
// The byte of the weight is two digits of 4 bits, the high one signed, the low one signed where `nibbles` is set. The two
// products are what two 4-bit weights need; for an 8-bit weight they are added. Each is a sum of two, of two bits each.
module au_logic (
  input  logic               clk,
  input  logic               nibbles,
  input  logic signed [8:0]  x,
  input  logic        [7:0]  w,
  output logic signed [16:0] low,  // the product, or that with the low weight
  output logic signed [11:0] high  // the product with the high weight, kept where `nibbles` is not set
);
  localparam int PAIR = 12;  // bits of the product with two bits of a weight, |x| ≤ 255
  logic signed [8:0] x_in;
  logic [7:0] w_in;
  logic [3:0] mode;
  logic signed [PAIR-1:0] upper [2], lower [2];  // with bits 3…2 and with bits 1…0 of each digit
  logic signed [12:0] digit [2];                 // products with the low and the high one
  logic signed [12:0] low_digit;
  logic signed [11:0] high_digit;
  logic signed [16:0] both;

  always_ff @(posedge clk) begin
    x_in <= x;
    w_in <= w;
    mode <= {mode[2:0], nibbles};
    for (int i = 0; i < 2; i++) lower[i] <= x_in * signed'({1'b0, w_in[4*i +: 2]});
    upper[0] <= x_in * signed'({mode[0] && w_in[3], w_in[3:2]});
    upper[1] <= x_in * signed'(w_in[7:6]);
    for (int i = 0; i < 2; i++) digit[i] <= 13'(lower[i]) + (13'(upper[i]) <<< 2);
    low_digit <= digit[0];
    high_digit <= digit[1][11:0];
    both <= 17'(digit[0]) + (17'(digit[1]) <<< 4);
    low <= mode[3] ? 17'(low_digit) : both;
    if (mode[3]) high <= high_digit;
  end

  wire unused = digit[1][12];  // |x| ≤ 255 and |w| ≤ 8: bit 11 is the sign
endmodule
