// Everything in the array's clock domain: registers, the accelerator, the sample port.
//
// Registers: `access` is high for one cycle with the others, `address` in the cycle before already; `answer` is there
// from the next one on. A result can be read RESULT_CYCLES + 4 cycles after the access that wrote its address, which is
// as early as crossing.sv and edge_axi.sv come again. The processor and the sample port share the accelerator's bus: while
// the port is on, or has windows left, the processor's bus writes are ignored.
module array_port
  import edge_pkg::*;
  import soc_pkg::*;
#(
  parameter int EVENT_WORDS = 512
) (
  input  logic        clk,
  input  logic        reset,
  input  logic        access,
  input  logic        write,
  input  logic [7:0]  address,
  input  logic [31:0] data_in,
  output logic [31:0] answer,
  input  logic        sample_valid,
  input  logic [15:0] sample,
  input  logic        trigger,
  output logic        event_valid,
  output logic        event_last,
  output logic [31:0] event_data,
  input  logic        event_ready,
  output logic        working
);
  localparam int RESULT_BITS = $clog2(RESULT_WORDS);
  localparam int VALUE_BITS = RESULT_BITS + 4;
  localparam int LINE_BITS = $clog2(MOST_WINDOW / 8);
  localparam int LEVEL_BITS = $clog2(EVENT_WORDS) + 1;
  wire writes = access && write;

  // A reset that the processor asks for lasts as long as the pipeline is deep.
  logic [5:0] resetting;
  logic inner_reset;
  always_ff @(posedge clk) begin
    if (resetting != '0) resetting <= resetting - 1'b1;
    if (reset || (writes && address == ARRAY_RESET)) resetting <= '1;
    inner_reset <= reset || resetting != '0;
  end

  logic [63:0] time_now;
  always_ff @(posedge clk) time_now <= reset ? '0 : time_now + 1'b1;

  logic [3:0] select;
  logic [31:0] place, step, data_low, place_low, place_high;
  logic [RESULT_BITS-1:0] result_address, result_read;
  logic [10:0] samples;
  logic [7:0] lead;
  logic [15:0] offset;
  logic [VALUE_BITS-1:0] values;
  logic on, two_bytes, to_cpu, given, given_trigger;
  logic [15:0] given_sample;  // by the processor
  logic stream, stream_q, active, open, busy;
  wire bus_write_cpu = writes && address == ARRAY_BUS_HIGH && !stream;
  assign stream = on || active || open;
  always_ff @(posedge clk) begin
    given <= writes && address == ARRAY_SAMPLE;
    {given_trigger, given_sample} <= data_in[16:0];
    if (writes) begin
      case (address)
        ARRAY_BUS_SELECT: select <= data_in[3:0];
        ARRAY_BUS_ADDRESS: place <= data_in;
        ARRAY_BUS_STEP: step <= data_in;
        ARRAY_BUS_LOW: data_low <= data_in;
        ARRAY_BUS_HIGH: place <= place + step;
        ARRAY_RESULT_ADDRESS: result_address <= data_in[RESULT_BITS-1:0];
        ARRAY_WINDOW_SAMPLES: samples <= data_in[10:0];
        ARRAY_WINDOW_BEFORE: lead <= data_in[7:0];
        ARRAY_SAMPLE_OFFSET: offset <= data_in[15:0];
        ARRAY_PLACE_LOW: place_low <= data_in;
        ARRAY_PLACE_HIGH: place_high <= data_in;
        ARRAY_EVENT_VALUES: values <= data_in[VALUE_BITS-1:0];
        ARRAY_STREAM: {to_cpu, two_bytes, on} <= data_in[2:0];
        default: ;
      endcase
    end
    if (inner_reset) on <= 1'b0;
  end

  logic bus_write, bus_write_stream, window, done, works;
  logic [3:0] bus_select, bus_select_stream;
  logic [31:0] bus_address, bus_address_stream, cycles, number, triggers, lost_open, lost_full;
  logic [WORD_BITS-1:0] bus_data, bus_data_stream;
  logic [RESULT_BITS-1:0] result_address_stream;
  logic [32*LANES-1:0] result_data, result_near;
  logic [63:0] time_of, high, low;
  logic [LINE_BITS-1:0] line;
  always_ff @(posedge clk) begin
    stream_q <= stream;
    bus_write <= (stream_q ? bus_write_stream : bus_write_cpu) && !inner_reset;
    bus_select <= stream_q ? bus_select_stream : select;
    bus_address <= stream_q ? bus_address_stream : place;
    bus_data <= stream_q ? bus_data_stream : {data_in, data_low};
  end
  accelerator array (
    .clk, .reset(inner_reset), .bus_write, .bus_select, .bus_address, .bus_data, .result_address(result_read), .result_data,
    .busy(works), .cycles
  );
  assign busy = works || (bus_write && bus_select == BUS_CONTROL);
  assign working = busy;
  // The result memory is far away: there and back a cycle each.
  always_ff @(posedge clk) begin
    result_read <= stream_q ? result_address_stream : result_address;
    result_near <= result_data;
  end

  capture windows (
    .clk, .reset(inner_reset), .on, .sample_valid(sample_valid || given),
    .sample(given ? given_sample : sample), .trigger(trigger || (given && given_trigger)), .time_now, .samples, .lead, .offset, .window, .number, .time_of, .line, .high, .low, .done, .open, .triggers, .lost_open, .lost_full
  );

  logic out_valid, fifo_full, fifo_pop;
  logic [31:0] fifo_data;
  logic [LEVEL_BITS-1:0] fifo_level;
  feeder feed (
    .clk, .reset(inner_reset), .samples, .two_bytes, .place_low, .place_high, .values, .window, .number, .time_of, .line,
    .high, .low, .done, .active, .bus_write(bus_write_stream), .bus_select(bus_select_stream),
    .bus_address(bus_address_stream), .bus_data(bus_data_stream), .busy, .cycles,
    .result_address(result_address_stream), .result_data(result_near), .event_valid(out_valid), .event_last, .event_data,
    .event_ready(to_cpu ? !fifo_full : event_ready)
  );
  assign event_valid = out_valid && !to_cpu;
  assign fifo_pop = access && !write && address == ARRAY_EVENT_DATA;
  fifo #(.WIDTH(32), .DEPTH(EVENT_WORDS)) events (
    .clk, .reset(inner_reset), .push(out_valid && to_cpu), .data_in(event_data), .full(fifo_full), .pop(fifo_pop),
    .data(fifo_data), .level(fifo_level)
  );

  // What is far is fetched a cycle ahead.
  logic [31:0] result_word;
  always_ff @(posedge clk) result_word <= result_near[{address[4:2], 5'b0} +: 32];

  always_ff @(posedge clk) if (access) begin
    case (address)
      ARRAY_SIZES_0: answer <= {16'(DESCRIPTORS), 3'(LANES - BEAT), 5'(TABLES), 8'(ELEMENTS)};
      ARRAY_SIZES_1: answer <= ACTIVATION_BYTES;
      ARRAY_SIZES_2: answer <= {16'(PARAMETER_WORDS), 16'(WEIGHT_WORDS)};
      ARRAY_SIZES_3: answer <= {16'(MOST_WINDOW), 16'(RESULT_WORDS)};
      ARRAY_BUS_SELECT: answer <= 32'(select);
      ARRAY_BUS_ADDRESS: answer <= place;
      ARRAY_BUS_STEP: answer <= step;
      ARRAY_BUS_LOW: answer <= data_low;
      ARRAY_STATUS: answer <= {30'b0, stream, busy};
      ARRAY_CYCLES: answer <= cycles;
      ARRAY_RESULT_ADDRESS: answer <= 32'(result_address);
      ARRAY_WINDOW_SAMPLES: answer <= 32'(samples);
      ARRAY_WINDOW_BEFORE: answer <= 32'(lead);
      ARRAY_SAMPLE_OFFSET: answer <= 32'(offset);
      ARRAY_PLACE_LOW: answer <= place_low;
      ARRAY_PLACE_HIGH: answer <= place_high;
      ARRAY_EVENT_VALUES: answer <= 32'(values);
      ARRAY_STREAM: answer <= {29'b0, to_cpu, two_bytes, on};
      ARRAY_TRIGGERS: answer <= triggers;
      ARRAY_LOST_OPEN: answer <= lost_open;
      ARRAY_LOST_FULL: answer <= lost_full;
      ARRAY_EVENT_LEVEL: answer <= 32'(fifo_level);
      ARRAY_EVENT_DATA: answer <= fifo_data;
      default: answer <= result_word;
    endcase
  end
endmodule
