// Feeder: puts captured windows into the activation memory, runs the network, and hands out what it found.
//
// While the network of one window runs, the next ones are captured; a window is copied as soon as the array is idle, 8
// samples in two cycles (in one where samples are single bytes), while the results before it go out.
//
// Events: words on `event_data` with `event_valid`, taken where `event_ready` is high, `event_last` at the last one:
// EVENT_HEADER words (soc_pkg), then `values` results. Where nobody takes them, the array waits and slots fill.
module feeder
  import edge_pkg::*;
  import soc_pkg::*;
#(
  localparam int RESULT_BITS = $clog2(RESULT_WORDS),
  localparam int LINE_BITS = $clog2(MOST_WINDOW / 8),
  localparam int VALUE_BITS = RESULT_BITS + 4
) (
  input  logic                   clk,
  input  logic                   reset,
  input  logic [10:0]            samples,
  input  logic                   two_bytes,   // samples have high bytes
  input  logic [31:0]            place_low,
  input  logic [31:0]            place_high,
  input  logic [VALUE_BITS-1:0]  values,      // results of an event
  input  logic                   window,
  input  logic [31:0]            number,
  input  logic [63:0]            time_of,
  output logic [LINE_BITS-1:0]   line,
  input  logic [63:0]            high,
  input  logic [63:0]            low,
  output logic                   done,
  output logic                   active,      // something is under way
  output logic                   bus_write,
  output logic [3:0]             bus_select,
  output logic [31:0]            bus_address,
  output logic [WORD_BITS-1:0]   bus_data,
  input  logic                   busy,
  input  logic [31:0]            cycles,
  output logic [RESULT_BITS-1:0] result_address,
  input  logic [32*LANES-1:0]    result_data,
  output logic                   event_valid,
  output logic                   event_last,
  output logic [31:0]            event_data,
  input  logic                   event_ready
);
  typedef enum logic [2:0] {IDLE, COPYING, COPIED, STARTING, RUNNING} state_t;
  state_t state;
  logic emitting;

  // Copying: `line` is asked for in one cycle and written two cycles later.
  logic [LINE_BITS:0] beat;
  wire [LINE_BITS-1:0] last_line = LINE_BITS'((samples - 1'b1) >> 3);
  wire beat_high = two_bytes && beat[0];
  wire last_beat = line == last_line && (!two_bytes || beat[0]);
  assign line = two_bytes ? beat[LINE_BITS:1] : beat[LINE_BITS-1:0];
  logic [1:0] writes, writes_high, ends;
  logic [31:0] offset_q [2];

  // What belongs to the window whose network runs, and to the one that goes out.
  logic [31:0] number_running, number_out, cycles_out;
  logic [63:0] time_running, time_out;

  logic finished;
  always_ff @(posedge clk) begin
    finished <= state == RUNNING && !busy && !finished && !reset;
    done <= 1'b0;
    writes <= {writes[0], state == COPYING};
    writes_high <= {writes_high[0], beat_high};
    ends <= {ends[0], state == COPYING && last_beat};
    offset_q[0] <= {{(29-LINE_BITS){1'b0}}, line, 3'b0};
    offset_q[1] <= offset_q[0];
    unique case (state)
      IDLE: begin
        beat <= '0;
        if (window && !done && !busy) state <= COPYING;
      end
      COPYING: begin
        beat <= beat + 1'b1;
        if (last_beat) state <= COPIED;
      end
      COPIED: if (ends[1]) begin
        state <= STARTING;
        number_running <= number;
        time_running <= time_of;
        done <= 1'b1;
      end
      STARTING: if (bus_write) state <= RUNNING;
      RUNNING: if (finished) state <= IDLE;
      default: state <= IDLE;
    endcase
    if (reset) begin
      state <= IDLE;
      writes <= '0;
      ends <= '0;
      done <= 1'b0;
    end
  end
  // Results of the network before must have gone out before this one writes over them.
  assign bus_write = writes[1] || (state == STARTING && !emitting);
  assign bus_select = writes[1] ? BUS_ACTIVATIONS : BUS_CONTROL;
  assign bus_address = writes[1] ? (writes_high[1] ? place_high : place_low) + offset_q[1] : '0;
  assign bus_data = !writes[1] ? WORD_BITS'(1) : writes_high[1] ? high : low;
  assign active = state != IDLE || window || emitting;

  // Emitting: the header, then eight results at a time, which come RESULT_CYCLES + 2 cycles after their address.
  localparam int FETCH = RESULT_CYCLES + 3;
  localparam int FETCH_BITS = $clog2(FETCH + 1);
  localparam int HEADER_BITS = $clog2(EVENT_HEADER);
  logic in_header;
  logic [HEADER_BITS-1:0] word;
  logic [VALUE_BITS-1:0] left;
  logic [2:0] lane;
  logic [FETCH_BITS-1:0] fetching;
  logic [32*LANES-1:0] line_out;
  wire given = event_valid && event_ready;
  assign event_valid = emitting && (in_header || fetching == '0);
  assign event_last = in_header ? (word == HEADER_BITS'(EVENT_HEADER - 1) && left == '0) : left == VALUE_BITS'(1);
  always_comb begin
    unique case (word)
      0: event_data = number_out;
      1: event_data = time_out[31:0];
      2: event_data = time_out[63:32];
      default: event_data = cycles_out;
    endcase
    if (!in_header) event_data = line_out[32*lane +: 32];
  end
  always_ff @(posedge clk) begin
    if (fetching != '0) begin
      fetching <= fetching - 1'b1;
      if (fetching == FETCH_BITS'(1)) line_out <= result_data;
    end
    if (given) begin
      if (in_header) begin
        word <= word + 1'b1;
        in_header <= word != HEADER_BITS'(EVENT_HEADER - 1);
      end else begin
        left <= left - 1'b1;
        lane <= lane + 1'b1;
        if (lane == 3'd7) begin
          result_address <= result_address + 1'b1;
          fetching <= FETCH_BITS'(FETCH);
        end
      end
      if (event_last) emitting <= 1'b0;
    end
    if (finished) begin
      emitting <= 1'b1;
      in_header <= 1'b1;
      word <= '0;
      lane <= '0;
      left <= values;
      result_address <= '0;
      fetching <= FETCH_BITS'(FETCH);
      number_out <= number_running;
      time_out <= time_running;
      cycles_out <= cycles;
    end
    if (reset) emitting <= 1'b0;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && finished && emitting) $fatal(1, "a network ended before the results of the one before it went out");
    if (!reset && bus_write && busy) $fatal(1, "the activation memory is written while the array works");
  end
`endif
  wire unused = &{place_low[31:ADDRESS_BITS], place_high[31:ADDRESS_BITS]};
endmodule
