// Processing element: its weights, the dot product of a word, and an accumulator for each of two output channels.
//
// Timing: `w_address` in cycle t - 3 and `x` in cycle t give a word's sum in cycle t + 8; its control for the low channel
// comes in cycle t + 7 and the accumulator has it in cycle t + 9. All that of the high channel is HALVES cycles later,
// when the array has taken the low results of all its halves. `nibbles` comes in cycle t - 1. `pick_high` in cycle t
// chooses what `picked` holds in cycle t + 2. A write in cycle t is found by addresses from cycle t + 1 on.
// Everything but `x` is kept in registers of the element's own first, since it comes to all elements from one place.
module pe
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  localparam int WEIGHT_BITS = $clog2(WEIGHT_WORDS)
) (
  input  logic                       clk,
  input  logic [WEIGHT_BITS-1:0]     w_address,
  input  logic                       nibbles,
  input  logic [9*LANES-1:0]         x,
  input  accumulate_t                control_low,
  input  accumulate_t                control_high,
  input  logic                       pick_high,
  output logic signed [ACC_BITS-1:0] picked,
  input  logic                       write,
  input  logic [WEIGHT_BITS-1:0]     write_address,
  input  logic [8*LANES-1:0]         write_data
);
  logic [WEIGHT_BITS-1:0] w_address_q, write_address_q;
  logic [8*LANES-1:0] write_data_q, w;
  logic nibbles_q, pick_high_q, write_q;
  accumulate_t low_q, high_q;
  always_ff @(posedge clk) begin
    w_address_q <= w_address;
    nibbles_q <= nibbles;
    low_q <= control_low;
    high_q <= control_high;
    pick_high_q <= pick_high;
    write_q <= write;
    write_address_q <= write_address;
    write_data_q <= write_data;
  end

  ram #(.WIDTH(8 * LANES), .DEPTH(WEIGHT_WORDS)) weights (
    .clk, .we(write_q), .wa(write_address_q), .wd(write_data_q), .ra(w_address_q), .rd(w)
  );

  logic signed [19:0] sum;
  logic signed [14:0] sum_high, sum_high_q [HALVES];
  dot units (.clk, .nibbles(nibbles_q), .x, .w, .low(sum), .high(sum_high));
  always_ff @(posedge clk) begin
    sum_high_q[0] <= sum_high;
    for (int i = 1; i < HALVES; i++) sum_high_q[i] <= sum_high_q[i-1];
  end

  logic signed [ACC_BITS-1:0] low, high;
  accumulator #(.TERM_BITS(20)) low_channel (.clk, .control(low_q), .term(sum), .acc(low));
  accumulator #(.TERM_BITS(15)) high_channel (.clk, .control(high_q), .term(sum_high_q[HALVES-1]), .acc(high));
  always_ff @(posedge clk) picked <= pick_high_q ? high : low;
endmodule
