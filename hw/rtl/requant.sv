// Requantization of one accumulator: clip(round((acc·multiplier + addend) / 2^shift), clip_lo, clip_hi).
//
// Timing: accumulator and constants in cycle t give `result` in cycle t + 11, one a cycle; `valid` marks them. `odd`
// comes 7 and the bounds come 9 cycles after the accumulator they belong to. Registers rest where nothing is on its way
// through them.
// `addend` holds bias times multiplier, half a unit of the result (shift ≥ 1) and the zero point, so rounding down
// gives the nearest integer, ties upwards. Where `even` is set a tie goes to the even integer before the zero point:
// one less where the result without zero point is odd, that is where its parity differs from that of the zero point.
module requant
  import edge_pkg::*;
(
  input  logic                       clk,
  input  logic                       valid,
  input  logic signed [ACC_BITS-1:0] acc,
  input  parameter_t                 constants,
  input  logic                       odd,
  input  logic signed [31:0]         clip_lo,
  input  logic signed [31:0]         clip_hi,
  output logic signed [31:0]         result
);
  localparam int WIDE = 64;
  logic [9:0] step;
  always_ff @(posedge clk) step <= {step[8:0], valid};

  logic signed [WIDE-1:0] total, coarse, fine;
  wide_multiply multiply (
    .clk, .valid, .step(step[3:0]), .acc, .multiplier(constants.multiplier), .addend(constants.addend), .total
  );

  typedef struct packed {
    logic even;
    logic [5:0] shift;
  } rounding_t;
  rounding_t rounding [7];
  always_ff @(posedge clk) begin
    if (valid) rounding[0] <= '{even: constants.even, shift: constants.shift};
    for (int i = 1; i < 7; i++) if (step[i-1]) rounding[i] <= rounding[i-1];
  end

  // The shift in two steps; whether anything but zeros was shifted out tells a tie.
  logic coarse_rest, fine_rest;
  wire [2:0] shift_coarse = rounding[4].shift[5:3];
  wire [2:0] shift_fine = rounding[5].shift[2:0];
  always_ff @(posedge clk) begin
    if (step[4]) begin
      coarse      <= total >>> {shift_coarse, 3'b0};
      coarse_rest <= |(total & ~({WIDE{1'b1}} << {shift_coarse, 3'b0}));
    end
    if (step[5]) begin
      fine      <= coarse >>> shift_fine;
      fine_rest <= coarse_rest | (|(coarse[6:0] & ~(7'h7f << shift_fine)));
    end
  end

  // A value beyond 33 bits is beyond every bound: 2³³ - 1 or -2³³ stands for it. One bit is left for the tie.
  localparam int NARROW = 34;
  logic signed [NARROW-1:0] rounded, clipped_from;
  logic [NARROW-1:0] whole;
  logic below, above, fits, tie, negative;
  logic signed [31:0] lo_q, hi_q;
  always_ff @(posedge clk) begin
    if (step[6]) begin
      fits <= fine[WIDE-1:NARROW-2] == '0 || fine[WIDE-1:NARROW-2] == '1;
      tie <= rounding[6].even && !fine_rest && (fine[0] ^ odd);
      negative <= fine[WIDE-1];
      whole <= fine[NARROW-1:0];
    end
    if (step[7]) rounded <= fits ? whole - NARROW'(tie) : {negative, {(NARROW - 1){~negative}}};
    if (step[8]) begin
      below <= rounded < NARROW'(clip_lo);
      above <= rounded > NARROW'(clip_hi);
      clipped_from <= rounded;
      lo_q <= clip_lo;
      hi_q <= clip_hi;
    end
    if (step[9]) result <= below ? lo_q : above ? hi_q : clipped_from[31:0];
  end

  wire unused = &{clipped_from[NARROW-1:32], rounding[6].shift};
endmodule
