// Product and addend equal their specification: wide_multiply.sv against acc·multiplier + addend, modulo 2⁶⁴.
//
// As in au_proof.sv. Operands that count are marked by `valid`, which moves on in `step` as in requant.sv.
//
// A product of 35 × 32 bits is beyond solvers, so this goes in three steps. With acc = a_high·2¹⁷ + a_low and
// multiplier = (d7·4⁷ + … + d1·4 + d0)·2¹⁷ + m_low, where the low parts and d0…d6 are not negative:
//   1. the unit's partial products are those of these parts (`…_products`, checked with multiplications as they are);
//   2. `total` is the sum of partial products and addend, each at its place (`sum`, checked for any partial products:
//      with CUT the outputs of multiplications are free);
//   3. that sum is acc·multiplier + addend, by the distributive law (multiplied_out.smt2).
module product_proof
  import edge_pkg::*;
(
  input logic                       clk,
  input logic                       valid,
  input logic signed [ACC_BITS-1:0] acc,
  input parameter_t                 constants
);
  localparam int DIGITS_AT = 1, PRODUCTS_AT = 3, LATENCY = 5;  // cycles after the operands
  logic [2:0] cycle = '0;
  logic [3:0] step;
  logic signed [ACC_BITS-1:0] acc_0;
  logic signed [31:0] multiplier_0;
  logic signed [61:0] addend_0;
  logic signed [63:0] total;
  wide_multiply unit (
    .clk, .valid, .step, .acc, .multiplier(constants.multiplier), .addend(constants.addend), .total
  );

  // What the unit has multiplied.
  logic signed [35:0] low_low, high_low, low_low_q, high_low_q;
  logic signed [32:0] low_high, low_high_q;
  logic signed [63:0] high_high, high_high_q;
  assign low_low = unit.multiply_ll.p;
  assign high_low = unit.multiply_hl.p;
  assign low_high = unit.multiply_lh.p;
  always_comb begin
    high_high = '0;
    for (int i = 0; i < 8; i++) high_high += 64'(unit.part[i]) <<< 2 * i;
  end
  always_ff @(posedge clk) begin
    cycle <= cycle + 1'b1;
    step <= {step[2:0], valid};
    if (cycle == '0) {acc_0, multiplier_0, addend_0} <= {acc, constants.multiplier, constants.addend};
    if (cycle == 3'(DIGITS_AT)) high_high_q <= high_high;
    if (cycle == 3'(PRODUCTS_AT)) {low_low_q, high_low_q, low_high_q} <= {low_low, high_low, low_high};
  end
  always_comb if (cycle == '0) assume (valid);

`ifdef CUT
  wire signed [63:0] middle = 64'(high_low_q) + 64'(low_high_q);
  wire signed [63:0] expected = 64'(addend_0) + 64'(low_low_q) + (middle <<< 17) + (high_high_q <<< 34);
  always_comb if (cycle == 3'(LATENCY)) begin
    assume (low_low_q[35:34] == '0);  // neither part is negative or has more than 17 bits
    sum : assert (total == expected);
  end
`else
  for (genvar i = 0; i < 8; i++) begin : digits
    wire signed [17:0] a_high = acc_0[34:17];
    wire [1:0] bits = 2'(multiplier_0 >> (17 + 2 * i));
    wire signed [2:0] digit = i < 7 ? {1'b0, bits} : {3{multiplier_0[31]}};
    wire signed [20:0] expected = a_high * digit;
    always_comb if (cycle == 3'(DIGITS_AT)) digit_products : assert (unit.part[i] == expected);
  end

  // As long on their way as those of the unit: what is equal by construction is equal before a solver sees it.
  logic signed [17:0] a_low, a_high, m_low;
  logic signed [14:0] m_high;
  logic signed [35:0] expected_ll [2], expected_hl [2];
  logic signed [32:0] expected_lh [2];
  always_ff @(posedge clk) begin
    a_low <= {1'b0, acc[16:0]};
    a_high <= acc[34:17];
    m_low <= {1'b0, constants.multiplier[16:0]};
    m_high <= constants.multiplier[31:17];
    expected_ll <= '{a_low * m_low, expected_ll[0]};
    expected_hl <= '{a_high * m_low, expected_hl[0]};
    expected_lh <= '{a_low * m_high, expected_lh[0]};
  end
  always_comb if (cycle == 3'(PRODUCTS_AT)) begin
    low_low_products : assert (low_low == expected_ll[1]);
    high_low_products : assert (high_low == expected_hl[1]);
    low_high_products : assert (low_high == expected_lh[1]);
  end
`endif
endmodule
