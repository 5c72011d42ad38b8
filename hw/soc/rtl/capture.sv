// Capture: cuts windows of samples out of a stream that never stops, each around a trigger.
//
// A sample comes with `sample_valid`. A trigger is a rising edge of `trigger`; it belongs to the sample of its cycle, or
// where there is none, to the next one. Its window is `lead` samples earlier to `samples` - `lead` - 1 later. `time_now`
// counts cycles; an event carries its value at the edge, and a number that counts all triggers, so that lost ones show.
// A trigger is lost where a window is open, where fewer than `lead` samples have come, or where all slots are full.
//
// A slot holds lines of eight samples as 64 bits of high and 64 bits of low bytes. While `window` is high its oldest
// window can be read: `line` in cycle t gives `high` and `low` in cycle t + 2. `done` frees it.
module capture
  import soc_pkg::*;
#(
  localparam int SLOT_BITS = $clog2(SLOTS),
  localparam int LINE_BITS = $clog2(MOST_WINDOW / 8)
) (
  input  logic                 clk,
  input  logic                 reset,
  input  logic                 on,       // where it rises, counters and slots are cleared
  input  logic                 sample_valid,
  input  logic [15:0]          sample,
  input  logic                 trigger,
  input  logic [63:0]          time_now,
  input  logic [10:0]          samples,  // of a window, 1 at least
  input  logic [7:0]           lead,
  input  logic [15:0]          offset,
  output logic                 window,
  output logic [31:0]          number,
  output logic [63:0]          time_of,
  input  logic [LINE_BITS-1:0] line,
  output logic [63:0]          high,
  output logic [63:0]          low,
  input  logic                 done,
  output logic                 open,
  output logic [31:0]          triggers,
  output logic [31:0]          lost_open,
  output logic [31:0]          lost_full
);
  localparam int DELAY = 3;  // cycles in which the memory gives an earlier sample
  logic on_q, trigger_in, trigger_q, sample_in;
  logic [15:0] sample_q;
  wire begins = on && !on_q;
  wire rises = on && trigger_in && !trigger_q;
  always_ff @(posedge clk) begin
    sample_in <= sample_valid;
    sample_q <= sample + offset;
    trigger_in <= trigger;
  end

  // A trigger waits for its sample.
  logic pending;
  logic [63:0] time_pending;
  wire marked = sample_in && (pending || rises);
  always_ff @(posedge clk) begin
    on_q <= on;
    trigger_q <= trigger_in;
    if (rises && !pending) time_pending <= time_now;
    pending <= (pending || rises) && !sample_in;
    if (reset || !on) pending <= 1'b0;
  end

  // The last 256 samples, so that a window can begin before its trigger.
  logic [8:0] place, earlier;  // in twice as many places: none is read in the cycle in which it is written
  logic [8:0] seen;
  logic [15:0] delayed;
  logic valid_q [DELAY];
  logic marked_q [DELAY];
  logic enough_q [DELAY];
  logic able;  // triggered, after enough samples
  logic [63:0] time_q [DELAY];
  ram #(.WIDTH(16), .DEPTH(512)) history (
    .clk, .we(sample_in), .wa(place), .wd(sample_q), .ra(earlier), .rd(delayed)
  );
  always_ff @(posedge clk) begin
    if (sample_in) begin
      place <= place + 1'b1;
      if (seen <= 9'(lead)) seen <= seen + 1'b1;
    end
    earlier <= place - 9'(lead);
    valid_q[0] <= sample_in && on;
    marked_q[0] <= marked && on;
    enough_q[0] <= seen >= 9'(lead);
    time_q[0] <= pending ? time_pending : time_now;
    for (int i = 1; i < DELAY; i++) begin
      valid_q[i] <= valid_q[i-1];
      marked_q[i] <= marked_q[i-1];
      enough_q[i] <= enough_q[i-1];
      time_q[i] <= time_q[i-1];
    end
    able <= valid_q[DELAY-2] && marked_q[DELAY-2] && enough_q[DELAY-2];
    if (reset || begins) seen <= '0;
    if (reset) place <= '0;
  end
  wire valid = valid_q[DELAY-1];
  wire triggered = valid && marked_q[DELAY-1];

  // Windows: `slot` is written, `oldest` is read, `held` have come to their end, `whole` are in the memory as well. What a
  // slot holds is written a cycle after it was decided.
  logic [SLOT_BITS-1:0] slot, slot_q, oldest;
  logic [SLOT_BITS:0] held, whole;
  logic opens_q, stores_q, ends_q;
  logic [2:0] position_q;
  logic [15:0] delayed_q;
  logic [31:0] triggers_q;
  logic [63:0] time_written;
  logic [10:0] left;
  logic [LINE_BITS+2:0] position;
  logic [31:0] number_of [SLOTS];
  logic [63:0] time_of_slot [SLOTS];
  wire room = held != (SLOT_BITS+1)'(SLOTS);
  wire opens = able && !open && room;
  wire stores = opens || (valid && open);
  wire ends = stores && (opens ? samples == 11'd1 : left == 11'd1);
  assign window = whole != '0;
  assign number = number_of[oldest];
  assign time_of = time_of_slot[oldest];
  always_ff @(posedge clk) begin
    if (triggered) begin
      triggers <= triggers + 1'b1;
      if (!opens) begin
        if (open || !enough_q[DELAY-1]) lost_open <= lost_open + 1'b1;
        else lost_full <= lost_full + 1'b1;
      end
    end
    opens_q <= opens;
    stores_q <= stores;
    ends_q <= ends;
    slot_q <= slot;
    position_q <= position[2:0];
    delayed_q <= delayed;
    triggers_q <= triggers;
    time_written <= time_q[DELAY-1];
    if (opens_q) begin
      number_of[slot_q] <= triggers_q;
      time_of_slot[slot_q] <= time_written;
    end
    if (stores) begin
      open <= !ends;
      left <= opens ? samples - 1'b1 : left - 1'b1;
      position <= ends ? '0 : position + 1'b1;
      if (ends) slot <= slot + 1'b1;
    end
    if (done) oldest <= oldest + 1'b1;
    held <= held + (SLOT_BITS+1)'(ends) - (SLOT_BITS+1)'(done);
    whole <= whole + (SLOT_BITS+1)'(ends_q) - (SLOT_BITS+1)'(done);
    if (reset || begins) begin
      triggers <= '0;
      lost_open <= '0;
      lost_full <= '0;
      open <= 1'b0;
      position <= '0;
      slot <= '0;
      oldest <= '0;
      held <= '0;
      whole <= '0;
      {opens_q, stores_q, ends_q} <= '0;
    end
  end

  // Eight samples make a line; the last line of a window ends in zeros.
  logic [127:0] filled, filled_q;
  logic [LINE_BITS-1:0] line_at;
  logic [SLOT_BITS+LINE_BITS-1:0] line_place;
  logic line_done;
  always_comb begin
    filled = position_q == '0 ? '0 : filled_q;
    filled[8*position_q +: 8] = delayed_q[7:0];
    filled[64 + 8*position_q +: 8] = delayed_q[15:8];
  end
  always_ff @(posedge clk) begin
    if (stores_q) filled_q <= filled;
    line_done <= stores_q && (ends_q || position_q == 3'd7);
    line_at <= position[LINE_BITS+2:3];
    line_place <= {slot_q, line_at};
    if (reset) line_done <= 1'b0;
  end
  ram #(.WIDTH(128), .DEPTH(SLOTS * MOST_WINDOW / 8)) lines (
    .clk, .we(line_done), .wa(line_place), .wd(filled_q), .ra({oldest, line}), .rd({high, low})
  );

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && done && !window) $fatal(1, "a window is freed that is not there");
    if (!reset && open && left == '0) $fatal(1, "a window goes on after its end");
  end
`endif
endmodule
