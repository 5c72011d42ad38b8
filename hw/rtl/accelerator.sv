// The accelerator: memories, sequencer, array, requantization, and the bus that loads them.
//
// Bus: `bus_write` with `bus_select` (edge_pkg::BUS_…), `bus_address` and `bus_data` writes one word a cycle; the
// activation memory may be written only while `busy` is low. A write to BUS_CONTROL with data bit 0 starts the network;
// `busy` is high from the next cycle until all results are in memory. `result_address` in cycle t gives eight results
// on `result_data` in cycle t + RESULT_CYCLES.
module accelerator
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  localparam int RESULT_BITS = $clog2(RESULT_WORDS)
) (
  input  logic                   clk,
  input  logic                   reset,
  input  logic                   bus_write,
  input  logic [3:0]             bus_select,
  input  logic [31:0]            bus_address,
  input  logic [WORD_BITS-1:0]   bus_data,
  input  logic [RESULT_BITS-1:0] result_address,
  output logic [32*LANES-1:0]    result_data,
  output logic                   busy,
  output logic [31:0]            cycles
);
  localparam int TAG_BITS = 3;
  localparam int FETCH_BITS = $clog2(DESCRIPTORS * DESCRIPTOR_WORDS);
  localparam int WEIGHT_BITS = $clog2(WEIGHT_WORDS);
  localparam int ELEMENT_BITS = $clog2(ELEMENTS);
  localparam int PARAMETER_ADDRESS = $clog2(PARAMETER_WORDS);
  localparam int TABLE_ADDRESS = $clog2(TABLES * 256);
  localparam int TABLE_BITS = TABLE_ADDRESS - 8;
  localparam int HALF_BITS = HALVES > 1 ? $clog2(HALVES) : 1;
  localparam int PARTS = LANES / BEAT;  // beats of a result word
  localparam int PART_BITS = $clog2(PARTS);
  localparam int LAST_AT = 14;     // cycles from the last word of a position to the making of its beats
  localparam int FINISH = 21;      // cycles from a beat to its results

  // Data cross the chip to the memories in cycles of their own. A network that is started in the cycle after a write
  // finds what was written: it reads descriptors first, and everything else later still.
  logic start, starts, write, to_activations, to_weights, to_parameters, to_tables, to_descriptors;
  logic [3:0] select;
  logic [31:0] address, address_in;
  logic [WORD_BITS-1:0] data, data_in;
  assign starts = write && select == BUS_CONTROL && data_in[0];
  always_ff @(posedge clk) begin
    write <= bus_write && !reset;
    select <= bus_select;
    address_in <= bus_address;
    data_in <= bus_data;
    start <= starts && !reset;
    to_activations <= write && select == BUS_ACTIVATIONS;
    to_weights <= write && select == BUS_WEIGHTS;
    to_parameters <= write && select == BUS_PARAMETERS;
    to_tables <= write && select == BUS_TABLES;
    to_descriptors <= write && select == BUS_DESCRIPTORS;
    address <= address_in;
    data <= data_in;
  end

  // A parameter comes in two halves; the second one writes it.
  logic [WORD_BITS-1:0] parameter_low;
  always_ff @(posedge clk) if (to_parameters && !address[0]) parameter_low <= data;

  logic [FETCH_BITS-1:0] fetch_address;
  logic [WORD_BITS-1:0] fetch_data;
  ram #(.WIDTH(WORD_BITS), .DEPTH(DESCRIPTORS * DESCRIPTOR_WORDS)) descriptors (
    .clk, .we(to_descriptors), .wa(address[FETCH_BITS-1:0]), .wd(data), .ra(fetch_address), .rd(fetch_data)
  );

  logic walking, taken, issue, first, shift, maximum, nibbles, last, last_group;
  descriptor_t d;
  logic [TAG_BITS-1:0] tag;
  logic signed [ADDRESS_BITS-1:0] x_address, lo, hi, out_address;
  logic [7:0] zero_point;
  logic [15:0] w_address;
  logic [11:0] p_address;
  sequencer #(.TAG_BITS(TAG_BITS)) walk (
    .clk, .reset, .start, .busy(walking), .cycles, .fetch_address, .fetch_data, .taken, .descriptor(d), .issue, .first,
    .shift, .maximum, .nibbles, .last, .last_group, .tag, .x_address, .lo, .hi, .zero_point, .w_address, .out_address,
    .p_address
  );
  assign busy = starts || start || walking;

  // Settings of the layers on their way, by tag. A layer takes 11 cycles at least and is on its way for less than
  // 8·11 cycles after its last word, so eight of them are enough.
  logic [32*BEAT-1:0] result_line;
  logic taken_q;
  logic [TAG_BITS-1:0] next_tag;
  settings_t settings [2**TAG_BITS];
  always_ff @(posedge clk) begin
    taken_q <= taken;
    if (taken) next_tag <= next_tag + 1'b1;
    if (taken_q)
      settings[next_tag] <= '{
        clip_lo: d.clip_lo, clip_hi: d.clip_hi, odd: d.odd, use_table: d.use_table, table_index: d.table_index,
        to_results: d.to_results, beats: d.beats, last_beats: d.last_beats, last_bytes: d.last_bytes
      };
    if (reset) next_tag <= '0;
  end

  // Positions that end travel to the point where their beats are made.
  ending_t ending [LAST_AT];
  always_ff @(posedge clk) begin
    ending[0] <= '{last: last && !reset, last_group: last_group, tag: tag, out: out_address,
                   parameter_address: p_address};
    for (int i = 1; i < LAST_AT; i++) ending[i] <= ending[i-1];
    if (reset) for (int i = 0; i < LAST_AT; i++) ending[i].last <= 1'b0;
  end
  wire ending_t ended = ending[LAST_AT-1];
  settings_t of_ended;
  always_ff @(posedge clk) of_ended <= settings[ending[LAST_AT-2].tag];

  logic [2:0] beat_index;
  logic [11:0] parameter_address;
  beat_t beat [FINISH];
  beats #(.TAG_BITS(TAG_BITS)) make_beats (
    .clk, .reset, .last(ended.last), .tag_in(ended.tag),
    .count(ended.last_group ? of_ended.last_beats : of_ended.beats),
    .last_bytes(ended.last_group ? of_ended.last_bytes : 4'(BEAT)),
    .step(of_ended.to_results ? ADDRESS_BITS'(1) : ADDRESS_BITS'(BEAT)),
    .address_in(ended.out), .parameter_in(ended.parameter_address),
    .valid(beat[0].valid), .index(beat_index), .tag(beat[0].tag), .bytes(beat[0].bytes), .address(beat[0].address),
    .parameter_address
  );
  for (genvar i = 1; i < FINISH; i++) begin : beat_travels
    always_ff @(posedge clk) begin
      beat[i] <= beat[i-1];
      if (reset) beat[i].valid <= 1'b0;
    end
  end

  logic [9*LANES-1:0] x;
  logic [7:0] code [LANES];
  logic signed [31:0] result [BEAT];
  logic signed [ACC_BITS-1:0] acc [BEAT];

  // What the bus writes to the activations joins the results here, where nothing runs.
  logic [7:0] written_data [LANES];
  logic to_results;
  beat_t written;
  always_ff @(posedge clk) begin
    written <= to_activations ? '{valid: 1'b1, tag: '0, bytes: 4'(LANES), address: address[ADDRESS_BITS-1:0]}
             : beat[FINISH-1];
    to_results <= settings[beat[FINISH-1].tag].to_results && !to_activations;
    for (int i = 0; i < LANES; i++) written_data[i] <= to_activations ? data[8*i +: 8] : code[i];
    for (int i = 0; i < BEAT; i++) result_line[32*i +: 32] <= result[i];
    if (reset) written.valid <= 1'b0;
  end
  activation activations (
    .clk, .read_address(x_address), .lo, .hi, .zero_point, .x,
    .write(written.valid && !to_results), .write_address(written.address), .write_bytes(written.bytes),
    .write_data(written_data)
  );

  // A beat's accumulators are at the lanes five cycles after it; its constants are asked for four cycles before that.
  localparam int PICK = 4;
  logic pick_high;
  logic [HALF_BITS-1:0] pick_half [PICK];
  logic [PARAMETER_ADDRESS-1:0] parameter_address_q;
  always_ff @(posedge clk) begin
    pick_high <= beat_index >= 3'(HALVES);
    pick_half[0] <= HALF_BITS'(beat_index % 3'(HALVES));
    for (int i = 1; i < PICK; i++) pick_half[i] <= pick_half[i-1];
    parameter_address_q <= parameter_address[PARAMETER_ADDRESS-1:0];
  end
  array elements (
    .clk, .control('{enable: issue, first: first, shift: shift, maximum: maximum}), .nibbles,
    .w_address(w_address[WEIGHT_BITS-1:0]), .x, .pick_high, .pick_half(pick_half[PICK-1]), .acc,
    .write(to_weights), .write_element(address[16 +: ELEMENT_BITS]), .write_address(address[WEIGHT_BITS-1:0]),
    .write_data(data)
  );

  // Each setting is looked up one cycle before the lanes take it (see lane.sv).
  logic odd, use_table;
  logic signed [31:0] clip_lo, clip_hi;
  logic [TABLE_BITS-1:0] table_index;
  always_ff @(posedge clk) begin
    odd <= settings[beat[10].tag].odd;
    clip_lo <= settings[beat[12].tag].clip_lo;
    clip_hi <= settings[beat[12].tag].clip_hi;
    table_index <= TABLE_BITS'(settings[beat[14].tag].table_index);
    use_table <= settings[beat[16].tag].use_table;
  end
  finish requantization (
    .clk, .parameter_address(parameter_address_q), .valid(beat[4].valid), .acc, .odd, .clip_lo, .clip_hi,
    .table_index, .use_table, .result, .code,
    .parameter_write(to_parameters && address[0]), .parameter_lane(address[3:1]),
    .parameter_place(address[4 +: PARAMETER_ADDRESS]),
    .parameter_data({data[PARAMETER_BITS-WORD_BITS-1:0], parameter_low}),
    .table_write(to_tables), .table_place(address[TABLE_ADDRESS-1:0]), .table_data(data[7:0])
  );

  ram #(.WIDTH(32 * LANES), .DEPTH(RESULT_WORDS), .PARTS(PARTS)) results (
    .clk, .we(written.valid && to_results), .wa(written.address[RESULT_BITS+PART_BITS-1:0]), .wd(result_line),
    .ra(result_address), .rd(result_data)
  );
`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && issue && 32'(w_address) >= WEIGHT_WORDS) $fatal(1, "weights are read beyond their memory");
    if (!reset && beat[0].valid && 32'(parameter_address) >= PARAMETER_WORDS)
      $fatal(1, "constants are read beyond their memory");
    if (!reset && written.valid && !to_results && 32'(written.address) + 32'(written.bytes) > ACTIVATION_BYTES)
      $fatal(1, "a result is written beyond the activation memory");
    if (!reset && written.valid && to_results && 32'(written.address) >= RESULT_WORDS * PARTS)
      $fatal(1, "a result is written beyond the result memory");
  end
`endif

  // Addresses are as wide as the records allow; a configuration uses the bits that its memories have.
  wire unused = &{address, d, w_address, of_ended, parameter_address, written};
endmodule
