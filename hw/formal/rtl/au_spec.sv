// What an arithmetic unit computes: x·w for 8-bit weights, x times each of two 4-bit weights where `nibbles` is set.
module au_spec (
  input  logic               nibbles,
  input  logic signed [8:0]  x,
  input  logic        [7:0]  w,
  output logic signed [16:0] low,
  output logic signed [11:0] high
);
  wire signed [16:0] weight = nibbles ? 17'(signed'(w[3:0])) : 17'(signed'(w));
  wire signed [25:0] product = x * weight;
  wire signed [12:0] product_high = x * signed'(w[7:4]);
  assign low = product[16:0];
  assign high = product_high[11:0];
  wire unused = &{product[25:17], product_high[12]};
endmodule
