// Finish: BEAT lanes of requantization with their constants and tables (lane.sv has the timing).
module finish
  import edge_pkg::*;
#(
  localparam int PARAMETER_ADDRESS = $clog2(PARAMETER_WORDS),
  localparam int TABLE_ADDRESS = $clog2(TABLES * 256)
) (
  input  logic                         clk,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_address,
  input  logic                         valid,
  input  logic signed [ACC_BITS-1:0]   acc [BEAT],
  input  logic                         odd,
  input  logic signed [31:0]           clip_lo,
  input  logic signed [31:0]           clip_hi,
  input  logic [TABLE_ADDRESS-9:0]     table_index,
  input  logic                         use_table,
  output logic signed [31:0]           result [BEAT],   // 32 bits, no table
  output logic [7:0]                   code [LANES],    // what the activation memory takes, zero beyond the beat
  input  logic                         parameter_write,
  input  logic [2:0]                   parameter_lane,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_place,
  input  logic [PARAMETER_BITS-1:0]    parameter_data,
  input  logic                         table_write,
  input  logic [TABLE_ADDRESS-1:0]     table_place,
  input  logic [7:0]                   table_data
);
  for (genvar i = 0; i < BEAT; i++) begin : lanes
    lane channel (
      .clk, .parameter_address, .valid, .acc(acc[i]), .odd, .clip_lo, .clip_hi, .table_index, .use_table,
      .result(result[i]), .code(code[i]), .parameter_write(parameter_write && parameter_lane == 3'(i)),
      .parameter_place, .parameter_data, .table_write, .table_place, .table_data
    );
  end
  for (genvar i = BEAT; i < LANES; i++) begin : beyond
    assign code[i] = '0;
  end
endmodule
