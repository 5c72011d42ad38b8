// Sequencer: fetches layer descriptors and walks through output groups, positions, planes, runs and words of a run.
//
// Timing: one word a cycle without gaps, from one layer to the next as well where the descriptor asks for no delay. The
// next descriptor is fetched while a layer runs; it can be taken 11 cycles after the one before it at the earliest.
// The outputs from `issue` on are registers and belong together; `issue` marks the cycles that carry a word.
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
  output logic                            taken,       // `descriptor` and `tag` are new in the next cycle
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

  wire end_of_layer;
  wire take = next_valid && (state == WAITING || (state == RUNNING && end_of_layer && !d.last_layer));
  assign taken = take;

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

  // Five nested loops; each counter counts down, each level keeps the addresses at which it began. `zero` says which
  // counters are zero, `single` which of the descriptor's counts are.
  logic [11:0] word_count, run_count, group_count;
  logic [3:0]  plane_count;
  logic [15:0] position_count, hold_count;
  address_t x, x_run, x_plane, x_position, x_group;
  address_t bound_lo, bound_hi, lo_plane, hi_plane;
  address_t out, out_group;
  logic [15:0] w, w_run, w_plane, w_group;
  logic [11:0] p;
  logic position_begins, plane_begins;
  zeros_t zero, single;

  wire last_word = zero.words;
  wire last_run = last_word && zero.runs;
  wire last_plane = last_run && zero.planes;
  wire last_position = last_plane && zero.positions;
  assign end_of_layer = &zero;

  // What each level begins with when the one inside of it has ended.
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
    if (state == RUNNING) begin
      position_begins <= last_plane;
      plane_begins <= last_run;
      word_count <= last_word ? d.words : word_count - 1'b1;
      zero.words <= last_word ? single.words : word_count == 12'd1;
      if (last_word) begin
        run_count <= last_run ? d.runs : run_count - 1'b1;
        zero.runs <= last_run ? single.runs : run_count == 12'd1;
      end
      if (last_run) begin
        plane_count <= last_plane ? d.planes : plane_count - 1'b1;
        zero.planes <= last_plane ? single.planes : plane_count == 4'd1;
      end
      if (last_plane) begin
        position_count <= last_position ? d.positions : position_count - 1'b1;
        zero.positions <= last_position ? single.positions : position_count == 16'd1;
      end
      if (last_position) begin
        group_count <= group_count - 1'b1;
        zero.groups <= group_count == 12'd1;
      end

      x <= last_position ? x_next_group : last_plane ? x_next_position : last_run ? x_next_plane
         : last_word ? x_next_run : x + address_t'(LANES);
      if (last_word)
        x_run <= last_position ? x_next_group : last_plane ? x_next_position : last_run ? x_next_plane : x_next_run;
      if (last_run) x_plane <= last_position ? x_next_group : last_plane ? x_next_position : x_next_plane;
      if (last_plane) x_position <= last_position ? x_next_group : x_next_position;
      if (last_position) x_group <= x_next_group;

      w <= last_position ? w_next_group : last_plane ? w_group : last_run ? w_next_plane
         : last_word ? w_next_run : w + 1'b1;
      if (last_word)
        w_run <= last_position ? w_next_group : last_plane ? w_group : last_run ? w_next_plane : w_next_run;
      if (last_run) w_plane <= last_position ? w_next_group : last_plane ? w_group : w_next_plane;
      if (last_position) w_group <= w_next_group;

      if (last_word) begin
        bound_lo <= last_plane ? d.bound_lo : last_run ? lo_next_plane : bound_lo + d.bound_run_stride;
        bound_hi <= last_plane ? d.bound_hi : last_run ? hi_next_plane : bound_hi + d.bound_run_stride;
      end
      if (last_run) begin
        lo_plane <= last_plane ? d.bound_lo : lo_next_plane;
        hi_plane <= last_plane ? d.bound_hi : hi_next_plane;
      end

      if (last_plane) out <= last_position ? out_next_group : out + d.out_position_stride;
      if (last_position) begin
        out_group <= out_next_group;
        p <= p + d.p_group_stride;
      end
    end

    if (take) begin
      d <= next;
      {zero, single} <= {2{next_zero}};
      position_begins <= 1'b1;
      plane_begins <= 1'b1;
      word_count <= next.words;
      run_count <= next.runs;
      plane_count <= next.planes;
      position_count <= next.positions;
      group_count <= next.groups;
      {x, x_run, x_plane, x_position, x_group} <= {5{next.x_base}};
      {w, w_run, w_plane, w_group} <= {4{next.w_base}};
      {bound_lo, lo_plane} <= {2{next.bound_lo}};
      {bound_hi, hi_plane} <= {2{next.bound_hi}};
      {out, out_group} <= {2{next.out_base}};
      p <= next.p_base;
    end
  end

  logic [TAG_BITS-1:0] current_tag;
  always_ff @(posedge clk) begin
    if (state == HOLDING) hold_count <= hold_count - 1'b1;
    unique case (state)
      IDLE: if (start) state <= WAITING;
      HOLDING: if (hold_count == 16'd1) state <= RUNNING;
      RUNNING: if (end_of_layer && !take) state <= d.last_layer ? DRAINING : WAITING;
      DRAINING: if (hold_count == '0) state <= IDLE;
      default: ;
    endcase
    if (take) begin
      state <= next_immediate ? RUNNING : HOLDING;
      hold_count <= next.delay;
      current_tag <= current_tag + 1'b1;
    end
    if (state == RUNNING && end_of_layer && d.last_layer) hold_count <= 16'(DRAIN - 2);
    if (state == DRAINING) hold_count <= hold_count - 1'b1;

    if (state == IDLE && start) cycles <= '0;
    else if (state != IDLE) cycles <= cycles + 1'b1;
    if (reset) begin
      state <= IDLE;
      current_tag <= '0;
      cycles <= '0;
    end
  end
  assign busy = state != IDLE;

  always_ff @(posedge clk) begin
    issue <= state == RUNNING;
    first <= position_begins;
    shift <= plane_begins && !position_begins;
    maximum <= d.maximum;
    nibbles <= d.nibbles;
    last <= state == RUNNING && last_plane;
    last_group <= zero.groups;
    tag <= current_tag;
    x_address <= x;
    lo <= bound_lo;
    hi <= bound_hi;
    zero_point <= plane_count == d.planes ? d.zero_point : d.zero_point_low;
    w_address <= w;
    out_address <= out;
    p_address <= p;
  end

  wire unused = &{arriving_counts, arriving_delay, single.groups};
endmodule
