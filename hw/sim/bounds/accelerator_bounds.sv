// Bounds of the array's memories and records, watched in simulation: bound to the module, so that what goes on a chip is not
// touched. Weights read, constants read and results written are watched in accelerator.sv itself.
module accelerator_bounds
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  parameter int TAG_BITS = 3,
  parameter int LAST_AT = 14,
  parameter int FINISH = 21
) (
  input logic                           clk,
  input logic                           reset,
  input logic                           to_activations,
  input logic                           to_weights,
  input logic                           to_parameters,
  input logic                           to_tables,
  input logic                           to_descriptors,
  input logic                    [31:0] address,
  input logic                           walking,
  input logic                           issue,
  input logic signed [ADDRESS_BITS-1:0] x_address,
  input logic signed [ADDRESS_BITS-1:0] lo,
  input logic signed [ADDRESS_BITS-1:0] hi,
  input settings_t                      settings [2**TAG_BITS],
  input ending_t                        ending [LAST_AT],
  input beat_t                          beat [FINISH],
  input logic                           taken_q,
  input logic            [TAG_BITS-1:0] next_tag
);
  localparam int TABLE_AT = 14;  // cycles from a beat to its look-up
  if (LANES % BEAT != 0 || ELEMENTS % BEAT != 0 || LOGIC_UNITS > LANES || RESULT_CYCLES < 2) begin : impossible
    $error("no array has these sizes");
  end

  // Of the eight bytes that a word reads, those from `from` to `to` - 1 count.
  int from, to;
  always_comb begin
    from = x_address < lo ? 32'(lo) : 32'(x_address);
    to = 32'(x_address) + LANES > 32'(hi) ? 32'(hi) : 32'(x_address) + LANES;
  end
  // A layer's settings are kept under its tag until its last results are written.
  logic in_use;
  always_comb begin
    in_use = 1'b0;
    for (int i = 0; i < LAST_AT; i++) in_use |= ending[i].last && ending[i].tag == next_tag;
    for (int i = 0; i < FINISH; i++) in_use |= beat[i].valid && beat[i].tag == next_tag;
  end
  wire settings_t looks_up = settings[beat[TABLE_AT].tag];
  always_ff @(posedge clk) begin
    if (!reset) begin
      if (issue && from < to && (from < 0 || to > ACTIVATION_BYTES))
        $fatal(1, "activations are read beyond their memory");
      if (beat[TABLE_AT].valid && looks_up.use_table && 32'(looks_up.table_index) >= TABLES)
        $fatal(1, "a table is looked up that is not there");
      if (taken_q && in_use) $fatal(1, "settings are replaced that results on their way need");
      if (to_activations && walking) $fatal(1, "activations are loaded while the array works");
      if (to_activations && 64'(address) + 64'(LANES) > 64'(ACTIVATION_BYTES))
        $fatal(1, "activations are loaded beyond their memory");
      if (to_weights && (32'(address[15:0]) >= WEIGHT_WORDS || 32'(address[31:16]) >= ELEMENTS))
        $fatal(1, "weights are loaded beyond their memory");
      if (to_parameters && address[31:4] >= 28'(PARAMETER_WORDS)) $fatal(1, "constants are loaded beyond their memory");
      if (to_tables && address >= 32'(TABLES * 256)) $fatal(1, "tables are loaded beyond their memory");
      if (to_descriptors && address >= 32'(DESCRIPTORS * DESCRIPTOR_WORDS))
        $fatal(1, "descriptors are loaded beyond their memory");
    end
  end
  wire unused = &{looks_up, in_use};
endmodule

bind accelerator accelerator_bounds #(.TAG_BITS(TAG_BITS), .LAST_AT(LAST_AT), .FINISH(FINISH)) bounds (
  .clk, .reset, .to_activations, .to_weights, .to_parameters, .to_tables, .to_descriptors, .address, .walking, .issue,
  .x_address, .lo, .hi, .settings, .ending, .beat, .taken_q, .next_tag
);
