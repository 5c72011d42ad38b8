// Signed A_WIDTH × B_WIDTH product, three cycles: the input, pipeline and output registers of one ECP5 MULT18X18D.
//
// Timing: `a`, `b` in cycle t give `p` in cycle t + 3, one product a cycle. Neither clock enable nor reset is used.
// Under ECP5 the block is instantiated: synthesis does not infer its registers. Operands stand at the top of the 18-bit
// inputs, so that each operand bit drives one pin and no sign bit fans out.
module mul_dsp #(
  parameter int A_WIDTH = 9,
  parameter int B_WIDTH = 18
) (
  input  logic                              clk,
  input  logic signed [A_WIDTH-1:0]         a,
  input  logic signed [B_WIDTH-1:0]         b,
  output logic signed [A_WIDTH+B_WIDTH-1:0] p
);
`ifdef ECP5
  wire [17:0] a18 = {a, {(18 - A_WIDTH){1'b0}}};
  wire [17:0] b18 = {b, {(18 - B_WIDTH){1'b0}}};
  wire [35:0] p36;
  ecp5_mult18 block (.clk, .a(a18), .b(b18), .p(p36));
  assign p = p36[35 -: A_WIDTH + B_WIDTH];
  wire unused = &p36;  // the bits below
`else
  logic signed [A_WIDTH-1:0] a_in;
  logic signed [B_WIDTH-1:0] b_in;
  logic signed [A_WIDTH+B_WIDTH-1:0] product;

  always_ff @(posedge clk) begin
    a_in <= a;
    b_in <= b;
    product <= a_in * b_in;
    p <= product;
  end
`endif
endmodule
