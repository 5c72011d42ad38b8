// Requantization of one accumulator: clip(round((acc·multiplier + addend) / 2^shift), clip_lo, clip_hi).
//
// Timing: accumulator and constants in cycle t give `result` in cycle t + 10, one a cycle. `odd` comes 7 and the bounds
// come 8 cycles after the accumulator they belong to.
// `addend` holds bias times multiplier, half a unit of the result (shift ≥ 1) and the zero point, so rounding down
// gives the nearest integer, ties upwards. Where `even` is set a tie goes to the even integer before the zero point:
// one less where the result without zero point is odd, that is where its parity differs from that of the zero point.
module requant
  import edge_pkg::*;
(
  input  logic                       clk,
  input  logic signed [ACC_BITS-1:0] acc,
  input  parameter_t                 constants,
  input  logic                       odd,
  input  logic signed [31:0]         clip_lo,
  input  logic signed [31:0]         clip_hi,
  output logic signed [31:0]         result
);
  localparam int LOW = 17;                 // bits of the low halves of both factors
  localparam int ACC_HIGH = ACC_BITS - LOW;
  localparam int MUL_HIGH = 27 - LOW;
  localparam int WIDE = 64;

  // Four partial products, three cycles; the smallest in logic, since multiplier blocks are scarce.
  wire signed [LOW:0] acc_low = {1'b0, acc[LOW-1:0]};
  wire signed [LOW:0] mul_low = {1'b0, constants.multiplier[LOW-1:0]};
  wire signed [ACC_HIGH-1:0] acc_high = acc[ACC_BITS-1:LOW];
  wire signed [MUL_HIGH-1:0] mul_high = constants.multiplier[26:LOW];
  logic signed [2*LOW+1:0] low_low, high_low;
  logic signed [LOW+MUL_HIGH:0] low_high;
  logic signed [ACC_HIGH+MUL_HIGH-1:0] high_high, high_high_1, high_high_2;

  mul_dsp #(.A_WIDTH(LOW + 1), .B_WIDTH(LOW + 1)) multiply_ll (.clk, .a(acc_low), .b(mul_low), .p(low_low));
  mul_dsp #(.A_WIDTH(ACC_HIGH), .B_WIDTH(LOW + 1)) multiply_hl (.clk, .a(acc_high), .b(mul_low), .p(high_low));
  mul_dsp #(.A_WIDTH(LOW + 1), .B_WIDTH(MUL_HIGH)) multiply_lh (.clk, .a(acc_low), .b(mul_high), .p(low_high));
  always_ff @(posedge clk) begin
    high_high_1 <= acc_high * mul_high;
    high_high_2 <= high_high_1;
    high_high   <= high_high_2;
  end

  logic signed [61:0] addend [3];
  logic        [6:0]  control [7];  // even, shift
  always_ff @(posedge clk) begin
    addend[0] <= constants.addend;
    for (int i = 1; i < 3; i++) addend[i] <= addend[i-1];
    control[0] <= {constants.even, constants.shift};
    for (int i = 1; i < 7; i++) control[i] <= control[i-1];
  end

  logic signed [WIDE-1:0] outer, total, coarse, fine;
  logic signed [2*LOW+2:0] middle;
  logic coarse_rest, fine_rest;
  wire [2:0] shift_coarse = control[4][5:3];
  wire [2:0] shift_fine = control[5][2:0];
  always_ff @(posedge clk) begin
    outer  <= {2'(signed'(high_high[ACC_HIGH+MUL_HIGH-1])), high_high, low_low[2*LOW-1:0]} + WIDE'(addend[2]);
    middle <= (2*LOW+3)'(high_low) + (2*LOW+3)'(low_high);
    total  <= outer + (WIDE'(middle) <<< LOW);
    coarse      <= total >>> {shift_coarse, 3'b0};
    coarse_rest <= |(total & ~({WIDE{1'b1}} << {shift_coarse, 3'b0}));
    fine        <= coarse >>> shift_fine;
    fine_rest   <= coarse_rest | (|(coarse[6:0] & ~(7'h7f << shift_fine)));
  end

  // A value beyond 33 bits is beyond every bound: 2³³ - 1 or -2³³ stands for it. One bit is left for the tie.
  localparam int NARROW = 34;
  logic signed [NARROW-1:0] rounded, clipped_from;
  logic below, above;
  wire fits = fine[WIDE-1:NARROW-2] == '0 || fine[WIDE-1:NARROW-2] == '1;
  wire tie = control[6][6] && !fine_rest && (fine[0] ^ odd);
  always_ff @(posedge clk) begin
    rounded <= fits ? fine[NARROW-1:0] - NARROW'(tie) : {fine[WIDE-1], {(NARROW - 1){~fine[WIDE-1]}}};
    below   <= rounded < NARROW'(clip_lo);
    above   <= rounded > NARROW'(clip_hi);
    clipped_from <= rounded;
    result  <= below ? lo_q : above ? hi_q : clipped_from[31:0];
  end
  logic signed [31:0] lo_q, hi_q;
  always_ff @(posedge clk) begin
    lo_q <= clip_lo;
    hi_q <= clip_hi;
  end

  wire unused = &{low_low[2*LOW+1:2*LOW], clipped_from[NARROW-1:32], control[6][5:0]};
endmodule
