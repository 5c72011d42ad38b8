// acc·multiplier + addend, exactly where that fits 64 bits: sums wrap around on the way and come back.
//
// Timing: operands in cycle t give `total` in cycle t + 5, one a cycle; `step` bit i is set in cycle t + i + 1 for
// operands that count, `valid` in cycle t. Registers rest where nothing is on its way through them.
// On a chip, and in simulation where UNITS is defined, four partial products are added. Otherwise a twin with the same
// timing multiplies in the last cycle (see array.sv).
module wide_multiply
  import edge_pkg::*;
#(
  parameter int ACC_WIDTH = ACC_BITS,
  parameter int MULTIPLIER_WIDTH = 32,
  parameter int ADDEND_WIDTH = 62,
  parameter int WIDE = 64
) (
  input  logic                               clk,
  input  logic                               valid,
  input  logic [3:0]                         step,
  input  logic signed [ACC_WIDTH-1:0]        acc,
  input  logic signed [MULTIPLIER_WIDTH-1:0] multiplier,
  input  logic signed [ADDEND_WIDTH-1:0]     addend,
  output logic signed [WIDE-1:0]             total
);
`ifdef ECP5
  `define UNITS
`endif
`ifdef UNITS
  localparam int LOW = ACC_WIDTH / 2;  // bits of the low halves of both factors
  localparam int ACC_HIGH = ACC_WIDTH - LOW;
  localparam int MUL_HIGH = MULTIPLIER_WIDTH - LOW;

  // The smallest of the four products is made in logic, since multiplier blocks are scarce: digits of one factor, of
  // which the last one has the sign, then a tree of sums.
  localparam int DIGITS = 8;
  localparam int DIGIT = (MUL_HIGH + DIGITS - 1) / DIGITS;
  localparam int HIGH_HIGH = ACC_HIGH + MUL_HIGH;
  wire signed [LOW:0] acc_low = {1'b0, acc[LOW-1:0]};
  wire signed [LOW:0] mul_low = {1'b0, multiplier[LOW-1:0]};
  wire signed [ACC_HIGH-1:0] acc_high = acc[ACC_WIDTH-1:LOW];
  wire signed [MUL_HIGH-1:0] mul_high = multiplier[MULTIPLIER_WIDTH-1:LOW];
  logic signed [2*LOW+1:0] low_low, high_low;
  logic signed [LOW+MUL_HIGH:0] low_high;
  logic signed [ACC_HIGH+DIGIT:0] part [DIGITS];
  logic signed [HIGH_HIGH-1:0] four [2], high_high;
  logic signed [ADDEND_WIDTH-1:0] addend_q [3];
  logic signed [WIDE-1:0] outer;
  logic signed [2*LOW+2:0] middle;

  mul_dsp #(.A_WIDTH(LOW + 1), .B_WIDTH(LOW + 1)) multiply_ll (.clk, .a(acc_low), .b(mul_low), .p(low_low));
  mul_dsp #(.A_WIDTH(ACC_HIGH), .B_WIDTH(LOW + 1)) multiply_hl (.clk, .a(acc_high), .b(mul_low), .p(high_low));
  mul_dsp #(.A_WIDTH(LOW + 1), .B_WIDTH(MUL_HIGH)) multiply_lh (.clk, .a(acc_low), .b(mul_high), .p(low_high));
  always_ff @(posedge clk) begin
    if (valid) begin
      for (int i = 0; i < DIGITS - 1; i++) part[i] <= acc_high * signed'({1'b0, mul_high[DIGIT*i +: DIGIT]});
      part[DIGITS-1] <= acc_high * signed'(mul_high[MUL_HIGH-1:DIGIT*(DIGITS-1)]);
      addend_q[0] <= addend;
    end
    if (step[0]) begin
      for (int i = 0; i < 2; i++)
        four[i] <= HIGH_HIGH'(part[4*i]) + (HIGH_HIGH'(part[4*i+1]) <<< DIGIT)
                 + (HIGH_HIGH'(part[4*i+2]) <<< 2 * DIGIT) + (HIGH_HIGH'(part[4*i+3]) <<< 3 * DIGIT);
      addend_q[1] <= addend_q[0];
    end
    if (step[1]) begin
      high_high <= four[0] + (four[1] <<< 4 * DIGIT);
      addend_q[2] <= addend_q[1];
    end
    if (step[2]) begin
      outer  <= {high_high[WIDE-2*LOW-1:0], low_low[2*LOW-1:0]} + WIDE'(addend_q[2]);
      middle <= (2*LOW+3)'(high_low) + (2*LOW+3)'(low_high);
    end
    if (step[3]) total <= outer + (WIDE'(middle) <<< LOW);
  end
  wire unused = &{low_low[2*LOW+1:2*LOW], high_high[HIGH_HIGH-1:WIDE-2*LOW]};
`else
  typedef struct packed {
    logic signed [ACC_WIDTH-1:0] acc;
    logic signed [MULTIPLIER_WIDTH-1:0] multiplier;
    logic signed [ADDEND_WIDTH-1:0] addend;
  } operands_t;
  operands_t first, second, third, fourth;
  always_ff @(posedge clk) begin
    if (valid) first <= '{acc: acc, multiplier: multiplier, addend: addend};
    if (step[0]) second <= first;
    if (step[1]) third <= second;
    if (step[2]) fourth <= third;
    if (step[3]) total <= WIDE'(fourth.acc) * WIDE'(fourth.multiplier) + WIDE'(fourth.addend);
  end
`endif
endmodule
