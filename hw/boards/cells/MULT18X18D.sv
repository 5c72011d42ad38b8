// The multiplier block of an ECP5, signed 18 × 18 bits, with the registers that its parameters turn on (Lattice
// FPGA-TN-02205). All registers have CLK0, and neither enable nor reset is modelled: ecp5_mult18.sv ties them.
module MULT18X18D #(
  parameter string REG_INPUTA_CLK = "NONE",
  parameter string REG_INPUTB_CLK = "NONE",
  parameter string REG_PIPELINE_CLK = "NONE",
  parameter string REG_OUTPUT_CLK = "NONE"
) (
  input  logic        CLK0,
  input  logic [17:0] A,
  input  logic [17:0] B,
  output logic [35:0] P
);
  logic signed [17:0] a_q, b_q;
  logic signed [35:0] product_q, p_q;
  wire signed [17:0] a = REG_INPUTA_CLK == "CLK0" ? a_q : A;
  wire signed [17:0] b = REG_INPUTB_CLK == "CLK0" ? b_q : B;
  wire signed [35:0] product = a * b;
  wire signed [35:0] piped = REG_PIPELINE_CLK == "CLK0" ? product_q : product;
  always_ff @(posedge CLK0) begin
    a_q <= A;
    b_q <= B;
    product_q <= product;
    p_q <= piped;
  end
  assign P = REG_OUTPUT_CLK == "CLK0" ? p_q : piped;
endmodule
