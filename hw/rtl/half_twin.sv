// Twin of a half of the processing elements, for simulation: same inputs, outputs and timing as those of pe.sv.
//
// What pe.sv keeps in registers of every element and unit waits here once for all of them, in rings whose entries are read
// some cycles after they were written; products and sums are made in the cycle in which they are accumulated, and only
// where a word was issued. A test compares the two (UNITS, see array.sv).
module half_twin
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  parameter int FIRST = 0,  // number of the first element
  localparam int WEIGHT_BITS = $clog2(WEIGHT_WORDS),
  localparam int ELEMENT_BITS = $clog2(ELEMENTS)
) (
  input  logic                       clk,
  input  logic [WEIGHT_BITS-1:0]     w_address,
  input  logic                       nibbles,
  input  logic [9*LANES-1:0]         x,
  input  accumulate_t                control_low,
  input  accumulate_t                control_high,
  input  logic                       pick_high,
  output logic signed [ACC_BITS-1:0] picked [BEAT],
  input  logic                       write,
  input  logic [ELEMENT_BITS-1:0]    write_element,
  input  logic [WEIGHT_BITS-1:0]     write_address,
  input  logic [8*LANES-1:0]         write_data
);
  // In pe.sv a word's weights are read two cycles after their address comes and accumulated nine later: reads and writes of
  // the memory wait for those nine, too, and a word has its weights when it needs them.
  localparam int WAIT = 11;    // of addresses, writes and the mode of a word
  localparam int X_WAIT = 9;   // of activations, to the register before the products
  localparam int RING = 16;
  typedef struct packed {
    logic [WEIGHT_BITS-1:0] address;
    logic nibbles;
  } word_t;
  word_t word_ring [RING];
  logic [9*LANES-1:0] x_ring [RING];
  logic [RING-1:0] writes;
  logic [ELEMENT_BITS-1:0] element_ring [RING];
  logic [WEIGHT_BITS-1:0] place_ring [RING];
  logic [8*LANES-1:0] data_ring [RING];
  logic [3:0] at;
  wire word_t word = word_ring[at - 4'(WAIT)];
  wire [9*LANES-1:0] x_late = x_ring[at - 4'(X_WAIT)];
  wire [ELEMENT_BITS-1:0] written = element_ring[at - 4'(WAIT)];
  wire writing = writes[WAIT-1];
  always_ff @(posedge clk) begin
    at <= at + 1'b1;
    word_ring[at] <= '{address: w_address, nibbles: nibbles};
    x_ring[at] <= x;
    writes <= {writes[RING-2:0], write};
    if (write) begin
      element_ring[at] <= write_element;
      place_ring[at] <= write_address;
      data_ring[at] <= write_data;
    end
  end

  // A signed byte w is w ^ 128 less 128: with the bytes of a word turned at once, products have unsigned factors, and 128
  // times the sum of the activations is what they have too much.
  int x_value [LANES], x_sum;
  logic [8*LANES-1:0] w [BEAT];
  accumulate_t low_q [2], high_q [2];
  logic pick_q [2];
  always_ff @(posedge clk) begin
    automatic int sum = 0;
    for (int i = 0; i < LANES; i++) begin
      automatic logic [8:0] turned = x_late[9*i +: 9] ^ 9'h100;
      automatic int value = int'(turned) - 256;
      x_value[i] <= value;
      sum += value;
    end
    x_sum <= sum <<< 7;
    low_q <= '{control_low, low_q[0]};
    high_q <= '{control_high, high_q[0]};
    pick_q <= '{pick_high, pick_q[0]};
  end
  for (genvar i = 0; i < BEAT; i++) begin : elements
    ram #(.WIDTH(8 * LANES), .DEPTH(WEIGHT_WORDS)) weights (
      .clk, .we(writing && written == ELEMENT_BITS'(FIRST + i)), .wa(place_ring[at - 4'(WAIT)]),
      .wd(data_ring[at - 4'(WAIT)]), .ra(word.address), .rd(w[i])
    );
  end

  // Accumulators are wider than pe.sv's: sums wrap around when they are handed out.
  longint low [BEAT], high [BEAT];
  int low_sum [BEAT], high_sum [BEAT], high_term [HALVES][BEAT];
  logic [HALVES-1:0] has_high, has_high_q;  // the word in this cycle, and those before it
  assign has_high = HALVES'({has_high_q, word.nibbles});
  always_comb begin
    for (int e = 0; e < BEAT; e++) begin
      low_sum[e] = 0;
      high_sum[e] = 0;
      if (low_q[1].enable) begin
        if (word.nibbles) begin
          for (int i = 0; i < LANES; i++) begin
            low_sum[e] += x_value[i] * int'(signed'(w[e][8*i +: 4]));
            high_sum[e] += x_value[i] * int'(signed'(w[e][8*i+4 +: 4]));
          end
        end else begin
          automatic logic [8*LANES-1:0] turned = w[e] ^ {LANES{8'h80}};
          low_sum[e] = -x_sum;
          for (int i = 0; i < LANES; i++) low_sum[e] += x_value[i] * int'(turned[8*i +: 8]);
        end
      end
    end
  end
  function automatic longint accumulated(logic first, logic shift, logic maximum, longint acc, int term);
    if (!maximum) return (first ? 0 : shift ? acc <<< 8 : acc) + longint'(term);
    return first || longint'(term) > acc ? longint'(term) : acc;
  endfunction
  always_ff @(posedge clk) begin
    has_high_q <= has_high;
    for (int e = 0; e < BEAT; e++) begin
      if (low_q[1].enable)
        low[e] <= accumulated(low_q[1].first, low_q[1].shift, low_q[1].maximum, low[e], low_sum[e]);
      if (high_q[1].enable)
        high[e] <= accumulated(high_q[1].first, high_q[1].shift, high_q[1].maximum, high[e], high_term[HALVES-1][e]);
    end
    for (int h = 0; h < HALVES; h++)
      if (has_high[h]) for (int e = 0; e < BEAT; e++) high_term[h][e] <= h == 0 ? high_sum[e] : high_term[h-1][e];
    for (int e = 0; e < BEAT; e++) picked[e] <= ACC_BITS'(pick_q[1] ? high[e] : low[e]);
  end
endmodule
