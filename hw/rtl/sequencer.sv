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
  // What the sequencer is doing: one of five bits is set, so that no state has to be decoded.
  localparam int IDLE = 0, WAITING = 1, HOLDING = 2, RUNNING = 3, DRAINING = 4, STATES = 5;
  logic [STATES-1:0] is;
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

  logic end_of_layer, last_layer, goes_on, take_q;  // `goes_on`: at the end of a layer that is not the last one
  wire take = next_valid && (is[WAITING] || (is[RUNNING] && goes_on));
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
    if (start && is[IDLE]) begin
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
  zeros_t zero, zero_next, single, last_next, next_last;
  // Of each level: whether all counters up to it are zero.
  function automatic zeros_t all_levels(zeros_t zeros);
    return '{words: zeros.words, runs: &zeros[4:3], planes: &zeros[4:2], positions: &zeros[4:1], groups: &zeros};
  endfunction

  // Counters take what `next` holds at every end of a layer and while nothing runs, valid or not: what is taken in the
  // end comes last, and whether it is taken has no way to them.
  wire load = is[WAITING] || (is[RUNNING] && end_of_layer);
  always_comb begin
    zero_next = zero;
    zero_next.words = last_word ? single.words : word_count == 12'd1;
    if (last_word) zero_next.runs = last_run ? single.runs : run_count == 12'd1;
    if (last_run) zero_next.planes = last_plane ? single.planes : plane_count == 4'd1;
    if (last_plane) zero_next.positions = last_position ? single.positions : position_count == 16'd1;
    if (last_position) zero_next.groups = group_count == 12'd1;
    last_next = all_levels(zero_next);
  end
  always_ff @(posedge clk) begin
    next_last <= all_levels(next_zero);
    if (load) begin
      zero <= next_zero;
      {last_word, last_run, last_plane, last_position, end_of_layer} <= next_last;
      goes_on <= next_last.groups && !next.last_layer;
    end else if (is[RUNNING]) begin
      zero <= zero_next;
      {last_word, last_run, last_plane, last_position, end_of_layer} <= last_next;
      goes_on <= last_next.groups && !last_layer;
    end

    if (is[RUNNING]) begin
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

  // The decision, a cycle later. For each level: whether it moves; and, of all levels and the descriptor that still waits
  // in `next`, the one that says where to.
  logic running_q, move_q, word_q, run_q, plane_q, position_q;
  logic from_next, from_group, from_position, from_plane, from_run, from_word, from_bound;
  always_ff @(posedge clk) begin
    take_q <= take && !reset;
    running_q <= is[RUNNING];
    move_q <= load || is[RUNNING];
    word_q <= load || (is[RUNNING] && last_word);
    run_q <= load || (is[RUNNING] && last_run);
    plane_q <= load || (is[RUNNING] && last_plane);
    position_q <= load || (is[RUNNING] && last_position);
    from_next <= load;
    from_group <= is[RUNNING] && last_position && !end_of_layer;
    from_position <= is[RUNNING] && last_plane && !last_position;
    from_plane <= is[RUNNING] && last_run && !last_plane;
    from_run <= is[RUNNING] && last_word && !last_run;
    from_word <= is[RUNNING] && !last_word;
    from_bound <= is[RUNNING] && last_plane && !end_of_layer;  // bounds begin anew with each position
    if (take_q) d <= next;
  end

  // Addresses: each level keeps those at which it began, and begins with these when the one inside of it has ended.
  // One of the terms is chosen, the others are zero.
  function automatic address_t only(logic chosen, address_t value);
    return chosen ? value : '0;
  endfunction
  function automatic logic [15:0] only_w(logic chosen, logic [15:0] value);
    return chosen ? value : '0;
  endfunction
  address_t x, x_run, x_plane, x_position, x_group;
  address_t bound_lo, bound_hi, lo_plane, hi_plane;
  address_t out, out_group;
  logic [15:0] w, w_run, w_plane, w_group;
  logic [11:0] p;
  wire address_t x_of_group = only(from_next, next.x_base) | only(from_group, x_group + d.x_group_stride);
  wire address_t x_of_position = x_of_group | only(from_position, x_position + d.x_position_stride);
  wire address_t x_of_plane = x_of_position | only(from_plane, x_plane + d.x_plane_stride);
  wire address_t x_of_run = x_of_plane | only(from_run, x_run + d.x_run_stride);
  wire [15:0] w_of_group = only_w(from_next, next.w_base) | only_w(from_group, w_group + d.w_group_stride);
  wire [15:0] w_of_plane = w_of_group | only_w(from_position, w_group) | only_w(from_plane, w_plane + d.w_plane_stride);
  wire [15:0] w_of_run = w_of_plane | only_w(from_run, w_run + d.w_run_stride);
  wire address_t lo_of_plane = only(from_next, next.bound_lo) | only(from_bound, d.bound_lo)
                             | only(from_plane, lo_plane + d.x_plane_stride);
  wire address_t hi_of_plane = only(from_next, next.bound_hi) | only(from_bound, d.bound_hi)
                             | only(from_plane, hi_plane + d.x_plane_stride);
  wire address_t out_of_group = only(from_next, next.out_base) | only(from_group, out_group + d.out_group_stride);
  always_ff @(posedge clk) begin
    if (move_q) begin
      x <= x_of_run | only(from_word, x + address_t'(LANES));
      w <= w_of_run | only_w(from_word, w + 1'b1);
    end
    if (word_q) begin
      x_run <= x_of_run;
      w_run <= w_of_run;
      bound_lo <= lo_of_plane | only(from_run, bound_lo + d.bound_run_stride);
      bound_hi <= hi_of_plane | only(from_run, bound_hi + d.bound_run_stride);
    end
    if (run_q) begin
      x_plane <= x_of_plane;
      w_plane <= w_of_plane;
      lo_plane <= lo_of_plane;
      hi_plane <= hi_of_plane;
    end
    if (plane_q) begin
      x_position <= x_of_position;
      out <= out_of_group | only(from_position, out + d.out_position_stride);
    end
    if (position_q) begin
      x_group <= x_of_group;
      w_group <= w_of_group;
      out_group <= out_of_group;
      p <= from_next ? next.p_base : p + d.p_group_stride;
    end
  end

  logic [TAG_BITS-1:0] current_tag;
  always_ff @(posedge clk) begin
    hold_count <= is[HOLDING] ? hold_count - 1'b1 : next.delay;
    drain_count <= is[DRAINING] ? drain_count - 1'b1 : 8'(DRAIN - 2);
    is[IDLE] <= (is[IDLE] && !start) || (is[DRAINING] && drain_count == '0);
    is[WAITING] <= (is[IDLE] && start) || (is[WAITING] && !take) || (is[RUNNING] && goes_on && !take);
    is[HOLDING] <= (is[HOLDING] && hold_count != 16'd1) || (take && !next_immediate);
    is[RUNNING] <= (is[RUNNING] && !end_of_layer) || (is[HOLDING] && hold_count == 16'd1) || (take && next_immediate);
    is[DRAINING] <= (is[DRAINING] && drain_count != '0) || (is[RUNNING] && end_of_layer && last_layer);
    if (take) current_tag <= current_tag + 1'b1;

    if (is[IDLE] && start) cycles <= '0;
    else if (!is[IDLE]) cycles <= cycles + 1'b1;
    if (reset) begin
      is <= STATES'(1) << IDLE;
      current_tag <= '0;
      cycles <= '0;
    end
  end
  assign busy = !is[IDLE];

  logic first_plane_q;
  always_ff @(posedge clk) begin
    first <= position_begins;
    shift <= plane_begins && !position_begins;
    last <= is[RUNNING] && last_plane;
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
