// Sequencer: fetches layer descriptors and walks through output groups, positions, planes, runs and words of a run.
//
// Timing: one word a cycle without gaps, from one layer to the next as well where the descriptor asks for no delay. The
// next descriptor is fetched while a layer runs; it can be taken 11 cycles after the one before it at the earliest.
// The outputs from `issue` on belong together; `issue` marks the cycles that carry a word.
// Counters decide in one cycle what ends; addresses follow in the next one, so that the decision is in registers when it
// reaches them.
module sequencer
  import edge_pkg::*;
#(
  parameter int TAG_BITS = 3,
  localparam int FETCH_BITS = $clog2(DESCRIPTORS * DESCRIPTOR_WORDS)
) (
  input  logic                            clk,
  input  logic                            reset,
  input  logic                            start,
  output logic                            busy,
  output logic        [31:0]              cycles,      // of the network that runs or ran last
  output logic        [FETCH_BITS-1:0]    fetch_address,
  input  logic        [WORD_BITS-1:0]     fetch_data,  // two cycles after its address
  output logic                            taken,       // `descriptor` is new in the next cycle
  output descriptor_t                     descriptor,
  output logic                            issue,
  output logic                            first,       // of a position
  output logic                            shift,       // first of a plane, but not of a position
  output logic                            maximum,
  output logic                            nibbles,
  output logic                            last,        // of a position
  output logic                            last_group,
  output logic        [TAG_BITS-1:0]      tag,
  output logic signed [ADDRESS_BITS-1:0]  x_address,
  output logic signed [ADDRESS_BITS-1:0]  lo,
  output logic signed [ADDRESS_BITS-1:0]  hi,
  output logic        [7:0]               zero_point,
  output logic        [15:0]              w_address,
  output logic signed [ADDRESS_BITS-1:0]  out_address,
  output logic        [11:0]              p_address
);
  typedef logic signed [ADDRESS_BITS-1:0] address_t;
  typedef enum logic [2:0] {IDLE, WAITING, HOLDING, RUNNING, DRAINING} state_t;
  state_t state;
  descriptor_t d;
  assign descriptor = d;

  // Fetching: eight words are shifted in, the first one ends up at the bottom. Comparisons with zero are made on the
  // way, so that registers alone decide when a loop ends and a descriptor is taken.
  typedef struct packed {
    logic words, runs, planes, positions, groups;
  } zeros_t;
  localparam int WORD_INDEX = $clog2(DESCRIPTOR_WORDS);
  localparam int COUNTS_AT = 3;  // the word that holds all counts; the delay is in the last one
  logic [WORD_BITS*DESCRIPTOR_WORDS-1:0] shifted;
  descriptor_t next;
  assign next = descriptor_t'(shifted);
  zeros_t next_zero;
  logic next_valid, next_immediate, asking;
  logic [1:0] arriving;
  logic [WORD_INDEX-1:0] arrived;

  wire descriptor_t arriving_counts = descriptor_t'({fetch_data, {(COUNTS_AT * WORD_BITS){1'b0}}});
  wire descriptor_t arriving_delay = descriptor_t'({fetch_data, {((DESCRIPTOR_WORDS - 1) * WORD_BITS){1'b0}}});

  logic end_of_layer, last_layer, take_q;
  wire take = next_valid && (state == WAITING || (state == RUNNING && end_of_layer && !last_layer));
  assign taken = take_q;

  always_ff @(posedge clk) begin
    arriving <= {arriving[0], asking};
    if (asking) begin
      fetch_address <= fetch_address + 1'b1;
      if (&fetch_address[WORD_INDEX-1:0]) asking <= 1'b0;
    end
    if (arriving[1]) begin
      shifted <= {fetch_data, shifted[WORD_BITS*DESCRIPTOR_WORDS-1:WORD_BITS]};
      arrived <= arrived + 1'b1;
      if (arrived == WORD_INDEX'(COUNTS_AT))
        next_zero <= '{words: arriving_counts.words == '0, runs: arriving_counts.runs == '0,
                       planes: arriving_counts.planes == '0, positions: arriving_counts.positions == '0,
                       groups: arriving_counts.groups == '0};
      next_immediate <= arriving_delay.delay == '0;
      if (&arrived) next_valid <= 1'b1;
    end
    if (take) next_valid <= 1'b0;
    if (start && state == IDLE) begin
      fetch_address <= '0;
      asking <= 1'b1;
    end else if (take && !next.last_layer) begin
      asking <= 1'b1;
    end
    if (reset) begin
      asking <= 1'b0;
      arriving <= '0;
      arrived <= '0;
      next_valid <= 1'b0;
    end
  end

  // Five nested loops; each counter counts down. `zero` says which counters are zero, `single` which of the
  // descriptor's counts are; what both mean for the levels together is worked out a cycle ahead.
  logic [11:0] word_count, run_count, group_count, words, runs;
  logic [3:0]  plane_count, planes;
  logic [15:0] position_count, positions, hold_count;
  logic [7:0]  drain_count;
  logic position_begins, plane_begins, first_plane;
  logic last_word, last_run, last_plane, last_position;
  zeros_t zero, zero_next, single;

  // Counters take what `next` holds at every end of a layer and while nothing runs, valid or not: what is taken in the
  // end comes last, and whether it is taken has no way to them.
  wire load = state == WAITING || (state == RUNNING && end_of_layer);
  always_comb begin
    zero_next = zero;
    if (load) begin
      zero_next = next_zero;
    end else if (state == RUNNING) begin
      zero_next.words = last_word ? single.words : word_count == 12'd1;
      if (last_word) zero_next.runs = last_run ? single.runs : run_count == 12'd1;
      if (last_run) zero_next.planes = last_plane ? single.planes : plane_count == 4'd1;
      if (last_plane) zero_next.positions = last_position ? single.positions : position_count == 16'd1;
      if (last_position) zero_next.groups = group_count == 12'd1;
    end
  end
  always_ff @(posedge clk) begin
    zero <= zero_next;
    last_word <= zero_next.words;
    last_run <= zero_next.words && zero_next.runs;
    last_plane <= zero_next.words && zero_next.runs && zero_next.planes;
    last_position <= zero_next.words && zero_next.runs && zero_next.planes && zero_next.positions;
    end_of_layer <= &zero_next;

    if (state == RUNNING) begin
      position_begins <= last_plane;
      plane_begins <= last_run;
      word_count <= last_word ? words : word_count - 1'b1;
      if (last_word) run_count <= last_run ? runs : run_count - 1'b1;
      if (last_run) begin
        first_plane <= last_plane;
        plane_count <= last_plane ? planes : plane_count - 1'b1;
      end
      if (last_plane) position_count <= last_position ? positions : position_count - 1'b1;
      if (last_position) group_count <= group_count - 1'b1;
    end
    if (load) begin
      single <= next_zero;
      {position_begins, plane_begins, first_plane} <= '1;
      {word_count, words} <= {2{next.words}};
      {run_count, runs} <= {2{next.runs}};
      {plane_count, planes} <= {2{next.planes}};
      {position_count, positions} <= {2{next.positions}};
      group_count <= next.groups;
      last_layer <= next.last_layer;
    end
  end

  // The decision, a cycle later: which levels begin anew, and whether with a descriptor. That still waits in `next`.
  logic running_q, move_q, word_q, run_q, plane_q, position_q, load_q;
  always_ff @(posedge clk) begin
    take_q <= take && !reset;
    load_q <= load;
    running_q <= state == RUNNING;
    move_q <= load || state == RUNNING;
    word_q <= load || (state == RUNNING && last_word);
    run_q <= load || (state == RUNNING && last_run);
    plane_q <= load || (state == RUNNING && last_plane);
    position_q <= load || (state == RUNNING && last_position);
    if (take_q) d <= next;
  end

  // Addresses: each level keeps those at which it began, and begins with these when the one inside of it has ended.
  address_t x, x_run, x_plane, x_position, x_group;
  address_t bound_lo, bound_hi, lo_plane, hi_plane;
  address_t out, out_group;
  logic [15:0] w, w_run, w_plane, w_group;
  logic [11:0] p;
  wire address_t x_next_run = x_run + d.x_run_stride;
  wire address_t x_next_plane = x_plane + d.x_plane_stride;
  wire address_t x_next_position = x_position + d.x_position_stride;
  wire address_t x_next_group = x_group + d.x_group_stride;
  wire [15:0] w_next_run = w_run + d.w_run_stride;
  wire [15:0] w_next_plane = w_plane + d.w_plane_stride;
  wire [15:0] w_next_group = w_group + d.w_group_stride;
  wire address_t lo_next_plane = lo_plane + d.x_plane_stride;
  wire address_t hi_next_plane = hi_plane + d.x_plane_stride;
  wire address_t out_next_group = out_group + d.out_group_stride;
  always_ff @(posedge clk) begin
    if (move_q) begin
      x <= load_q ? next.x_base : position_q ? x_next_group : plane_q ? x_next_position : run_q ? x_next_plane
         : word_q ? x_next_run : x + address_t'(LANES);
      w <= load_q ? next.w_base : position_q ? w_next_group : plane_q ? w_group : run_q ? w_next_plane
         : word_q ? w_next_run : w + 1'b1;
    end
    if (word_q) begin
      x_run <= load_q ? next.x_base : position_q ? x_next_group : plane_q ? x_next_position : run_q ? x_next_plane
             : x_next_run;
      w_run <= load_q ? next.w_base : position_q ? w_next_group : plane_q ? w_group : run_q ? w_next_plane : w_next_run;
      bound_lo <= load_q ? next.bound_lo : plane_q ? d.bound_lo : run_q ? lo_next_plane : bound_lo + d.bound_run_stride;
      bound_hi <= load_q ? next.bound_hi : plane_q ? d.bound_hi : run_q ? hi_next_plane : bound_hi + d.bound_run_stride;
    end
    if (run_q) begin
      x_plane <= load_q ? next.x_base : position_q ? x_next_group : plane_q ? x_next_position : x_next_plane;
      w_plane <= load_q ? next.w_base : position_q ? w_next_group : plane_q ? w_group : w_next_plane;
      lo_plane <= load_q ? next.bound_lo : plane_q ? d.bound_lo : lo_next_plane;
      hi_plane <= load_q ? next.bound_hi : plane_q ? d.bound_hi : hi_next_plane;
    end
    if (plane_q) begin
      x_position <= load_q ? next.x_base : position_q ? x_next_group : x_next_position;
      out <= load_q ? next.out_base : position_q ? out_next_group : out + d.out_position_stride;
    end
    if (position_q) begin
      x_group <= load_q ? next.x_base : x_next_group;
      w_group <= load_q ? next.w_base : w_next_group;
      out_group <= load_q ? next.out_base : out_next_group;
      p <= load_q ? next.p_base : p + d.p_group_stride;
    end
  end

  logic [TAG_BITS-1:0] current_tag;
  always_ff @(posedge clk) begin
    hold_count <= state == HOLDING ? hold_count - 1'b1 : next.delay;
    drain_count <= state == DRAINING ? drain_count - 1'b1 : 8'(DRAIN - 2);
    unique case (state)
      IDLE: if (start) state <= WAITING;
      HOLDING: if (hold_count == 16'd1) state <= RUNNING;
      RUNNING: if (end_of_layer && !take) state <= last_layer ? DRAINING : WAITING;
      DRAINING: if (drain_count == '0) state <= IDLE;
      default: ;
    endcase
    if (take) begin
      state <= next_immediate ? RUNNING : HOLDING;
      current_tag <= current_tag + 1'b1;
    end

    if (state == IDLE && start) cycles <= '0;
    else if (state != IDLE) cycles <= cycles + 1'b1;
    if (reset) begin
      state <= IDLE;
      current_tag <= '0;
      cycles <= '0;
    end
  end
  assign busy = state != IDLE;

  logic first_plane_q;
  always_ff @(posedge clk) begin
    first <= position_begins;
    shift <= plane_begins && !position_begins;
    last <= state == RUNNING && last_plane;
    last_group <= zero.groups;
    first_plane_q <= first_plane;
    tag <= current_tag;
  end
  assign issue = running_q;
  assign maximum = d.maximum;
  assign nibbles = d.nibbles;
  assign x_address = x;
  assign lo = bound_lo;
  assign hi = bound_hi;
  assign zero_point = first_plane_q ? d.zero_point : d.zero_point_low;
  assign w_address = w;
  assign out_address = out;
  assign p_address = p;

  wire unused = &{arriving_counts, arriving_delay, single.groups};
endmodule
