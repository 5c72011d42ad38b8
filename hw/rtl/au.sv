// Arithmetic unit: activation times one 8-bit weight, or times two 4-bit weights in the same multiplier.
//
// Timing: operands in cycle t give products in cycle t + 5. `nibbles` goes with the operands.
// Two weights are packed as w1·2¹² + w0. |x| ≤ 255 and |w0| ≤ 8, so x·w0 fits 12 signed bits: it is the low part of the
// product, and the high part is x·w1, less one where the low part is negative.
module au (
  input  logic               clk,
  input  logic               nibbles,
  input  logic signed [8:0]  x,
  input  logic        [7:0]  w,
  output logic signed [16:0] low,  // the product, or that with the low weight
  output logic signed [11:0] high  // the product with the high weight, kept where `nibbles` is not set
);
  logic signed [8:0]  x_in;
  logic signed [16:0] w_in;
  logic signed [25:0] p;
  logic        [3:0]  mode;

  wire signed [16:0] w_high = 17'(signed'(w[7:4]));
  wire signed [16:0] w_low  = 17'(signed'(w[3:0]));

  always_ff @(posedge clk) begin
    x_in <= x;
    w_in <= nibbles ? (w_high <<< 12) + w_low : 17'(signed'(w));
    mode <= {mode[2:0], nibbles};
    low  <= mode[3] ? 17'(signed'(p[11:0])) : p[16:0];
    if (mode[3]) high <= p[23:12] + 12'(p[11]);
  end

  mul_dsp #(.A_WIDTH(9), .B_WIDTH(17)) multiplier (.clk, .a(x_in), .b(w_in), .p);

  wire unused = &p[25:24];  // |p| ≤ 255·(8·2¹² + 8) < 2²³: bit 23 is the sign
endmodule
