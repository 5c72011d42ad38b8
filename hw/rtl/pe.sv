// Processing element: its weights, the dot product of a word, and an accumulator for each of two output channels.
//
// Timing: `w_address` in cycle t - 4, `nibbles` in cycle t - 2 and `x` in cycle t - 1 give a word's sum in cycle t + 8; its
// control for the low channel comes in cycle t + 7 and the accumulator has it in cycle t + 10. All that of the high
// channel is HALVES cycles later, when the array has taken the low results of all its halves. `pick_high` in cycle t
// chooses what `picked` holds in cycle t + 3. A write in cycle t is found by addresses from cycle t + 1 on.
// What comes to all elements from one place goes through two registers of the element's own first.
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
  localparam int HOPS = 2;
  logic [WEIGHT_BITS-1:0] w_address_q [HOPS], write_address_q [HOPS];
  logic [8*LANES-1:0] write_data_q [HOPS], w;
  logic nibbles_q [HOPS], pick_high_q [HOPS], write_q [HOPS];
  accumulate_t low_q [HOPS], high_q [HOPS];
  always_ff @(posedge clk) begin
    w_address_q[0] <= w_address;
    nibbles_q[0] <= nibbles;
    low_q[0] <= control_low;
    high_q[0] <= control_high;
    pick_high_q[0] <= pick_high;
    write_q[0] <= write;
    write_address_q[0] <= write_address;
    write_data_q[0] <= write_data;
    for (int i = 1; i < HOPS; i++) begin
      w_address_q[i] <= w_address_q[i-1];
      nibbles_q[i] <= nibbles_q[i-1];
      low_q[i] <= low_q[i-1];
      high_q[i] <= high_q[i-1];
      pick_high_q[i] <= pick_high_q[i-1];
      write_q[i] <= write_q[i-1];
      write_address_q[i] <= write_address_q[i-1];
      write_data_q[i] <= write_data_q[i-1];
    end
  end

  ram #(.WIDTH(8 * LANES), .DEPTH(WEIGHT_WORDS)) weights (
    .clk, .we(write_q[HOPS-1]), .wa(write_address_q[HOPS-1]), .wd(write_data_q[HOPS-1]), .ra(w_address_q[HOPS-1]),
    .rd(w)
  );

  // The sums go through a register near the accumulators.
  logic signed [19:0] sum, sum_q;
  logic signed [14:0] sum_high, sum_high_q [HALVES+1];
  dot units (.clk, .nibbles(nibbles_q[HOPS-1]), .x, .w, .low(sum), .high(sum_high));
  always_ff @(posedge clk) begin
    sum_q <= sum;
    sum_high_q[0] <= sum_high;
    for (int i = 1; i <= HALVES; i++) sum_high_q[i] <= sum_high_q[i-1];
  end

  logic signed [ACC_BITS-1:0] low, high;
  accumulator #(.TERM_BITS(20)) low_channel (.clk, .control(low_q[HOPS-1]), .term(sum_q), .acc(low));
  accumulator #(.TERM_BITS(15)) high_channel (.clk, .control(high_q[HOPS-1]), .term(sum_high_q[HALVES]), .acc(high));
  always_ff @(posedge clk) picked <= pick_high_q[HOPS-1] ? high : low;
endmodule
