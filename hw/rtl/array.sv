// Array: the processing elements, in groups of as many as a beat has results, called halves: the largest array has two.
//
// Timing: `issue`, `w_address` and their flags in cycle t, `x` of the same word in cycle t + 6; half h works h cycles
// later, so that nothing crosses the chip in one cycle. Beat k of a position, whose last word was in cycle t, is taken
// from cycle t + 16 + k on: `pick_high` then, `pick_half` three cycles later, `acc` of its channels four. A write of
// weights in cycle t is found by words that are issued from cycle t + HALVES on.
// On a chip, and in simulation where UNITS is defined, these are processing elements with their arithmetic units.
// Otherwise twins with the same timing stand for a half each, which are several times faster to simulate.
`ifdef ECP5
  `define UNITS
`endif
module array
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  localparam int WEIGHT_BITS = $clog2(WEIGHT_WORDS),
  localparam int ELEMENT_BITS = $clog2(ELEMENTS),
  localparam int HALF_BITS = HALVES > 1 ? $clog2(HALVES) : 1
) (
  input  logic                       clk,
  input  accumulate_t                control,
  input  logic                       nibbles,
  input  logic [WEIGHT_BITS-1:0]     w_address,
  input  logic [9*LANES-1:0]         x,
  input  logic                       pick_high,
  input  logic [HALF_BITS-1:0]       pick_half,
  output logic signed [ACC_BITS-1:0] acc [BEAT],
  input  logic                       write,
  input  logic [ELEMENT_BITS-1:0]    write_element,
  input  logic [WEIGHT_BITS-1:0]     write_address,
  input  logic [8*LANES-1:0]         write_data
);
  localparam int X_AT = 7;         // cycles from the issue of a word to its activations at half 0
  localparam int CONTROL_AT = 17;  // cycles from the issue of a word to its accumulation there

  logic [WEIGHT_BITS-1:0] w_address_q [X_AT + HALVES];  // entry i: i + 1 cycles after the issue
  logic nibbles_q [X_AT + HALVES];
  accumulate_t control_q [CONTROL_AT + 2 * HALVES];
  logic [9*LANES-1:0] x_q [HALVES];                    // half h reads entry h, h + 1 cycles after `x`
  logic high_q [CONTROL_AT + 2 * HALVES];              // the word has high weights
  always_ff @(posedge clk) begin
    high_q[0] <= nibbles;
    for (int i = 1; i < CONTROL_AT + 2 * HALVES; i++) high_q[i] <= high_q[i-1];
    w_address_q[0] <= w_address;
    nibbles_q[0] <= nibbles;
    control_q[0] <= control;
    for (int i = 1; i < X_AT + HALVES; i++) begin
      w_address_q[i] <= w_address_q[i-1];
      nibbles_q[i] <= nibbles_q[i-1];
    end
    for (int i = 1; i < CONTROL_AT + 2 * HALVES; i++) control_q[i] <= control_q[i-1];
  end
  always_ff @(posedge clk) begin
    x_q[0] <= x;
    for (int i = 1; i < HALVES; i++) x_q[i] <= x_q[i-1];
  end

  logic write_q [HALVES];
  logic [ELEMENT_BITS-1:0] write_element_q [HALVES];
  logic [WEIGHT_BITS-1:0] write_address_q [HALVES];
  logic [8*LANES-1:0] write_data_q [HALVES];
  always_ff @(posedge clk) begin
    write_q[0] <= write;
    write_element_q[0] <= write_element;
    write_address_q[0] <= write_address;
    write_data_q[0] <= write_data;
    for (int i = 1; i < HALVES; i++) begin
      write_q[i] <= write_q[i-1];
      write_element_q[i] <= write_element_q[i-1];
      write_address_q[i] <= write_address_q[i-1];
      write_data_q[i] <= write_data_q[i-1];
    end
  end

  // An element takes all of its inputs but `x` two cycles ahead.
  logic signed [ACC_BITS-1:0] picked [HALVES][BEAT];
  accumulate_t control_high [HALVES];
  for (genvar half = 0; half < HALVES; half++) begin : halves
    localparam int HIGH_AT = CONTROL_AT - 3 + half + HALVES;
    always_comb begin
      control_high[half] = control_q[HIGH_AT];
      control_high[half].enable = control_q[HIGH_AT].enable && high_q[HIGH_AT];
    end
`ifdef UNITS
    for (genvar i = 0; i < BEAT; i++) begin : elements
      localparam int ELEMENT = half * BEAT + i;
      pe element (
        .clk, .w_address(w_address_q[X_AT-4+half]), .nibbles(nibbles_q[X_AT-2+half]), .x(x_q[half]),
        .control_low(control_q[CONTROL_AT-3+half]), .control_high(control_high[half]), .pick_high,
        .picked(picked[half][i]), .write(write_q[half] && write_element_q[half] == ELEMENT_BITS'(ELEMENT)),
        .write_address(write_address_q[half]), .write_data(write_data_q[half])
      );
    end
`else
    half_twin #(.FIRST(half * BEAT)) elements (
      .clk, .w_address(w_address_q[X_AT-4+half]), .nibbles(nibbles_q[X_AT-2+half]), .x(x_q[half]),
      .control_low(control_q[CONTROL_AT-3+half]), .control_high(control_high[half]), .pick_high, .picked(picked[half]),
      .write(write_q[half]), .write_element(write_element_q[half]), .write_address(write_address_q[half]),
      .write_data(write_data_q[half])
    );
`endif
  end

  always_ff @(posedge clk) begin
    for (int i = 0; i < BEAT; i++) acc[i] <= picked[pick_half][i];
  end
endmodule
