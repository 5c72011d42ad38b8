// Finish: eight requantization units with their constants, and the table look-up behind them.
//
// Timing: `parameter_address` in cycle t, `valid` and `acc` of its channels in cycle t + 2, `result` and `code` in cycle t + 15.
// The settings of the layer come when they are needed: `odd` in t + 9, the bounds in t + 10, the table in t + 12
// (number) and t + 14 (use).
module finish
  import edge_pkg::*;
#(
  localparam int PARAMETER_ADDRESS = $clog2(PARAMETER_WORDS),
  localparam int TABLE_ADDRESS = $clog2(TABLES * 256)
) (
  input  logic                         clk,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_address,
  input  logic                         valid,
  input  logic signed [ACC_BITS-1:0]   acc [LANES],
  input  logic                         odd,
  input  logic signed [31:0]           clip_lo,
  input  logic signed [31:0]           clip_hi,
  input  logic [TABLE_ADDRESS-9:0]     table_index,
  input  logic                         use_table,
  output logic signed [31:0]           result [LANES],  // 32 bits, no table
  output logic [7:0]                   code [LANES],    // what the activation memory takes
  input  logic                         load,            // in cycle t makes `load_data` the codes of cycle t + 1
  input  logic [8*LANES-1:0]           load_data,
  input  logic                         parameter_write,
  input  logic [2:0]                   parameter_lane,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_place,
  input  logic [PARAMETER_BITS-1:0]    parameter_data,
  input  logic                         table_write,
  input  logic [TABLE_ADDRESS-1:0]     table_place,
  input  logic [7:0]                   table_data
);
  for (genvar lane = 0; lane < LANES; lane++) begin : lanes
    logic [PARAMETER_BITS-1:0] constants;
    logic signed [31:0] exact, exact_q [2];
    logic [7:0] found;

    ram #(.WIDTH(PARAMETER_BITS), .DEPTH(PARAMETER_WORDS)) parameters (
      .clk, .we(parameter_write && parameter_lane == 3'(lane)), .wa(parameter_place), .wd(parameter_data),
      .ra(parameter_address), .rd(constants)
    );
    requant unit (
      .clk, .valid, .acc(acc[lane]), .constants(parameter_t'(constants)), .odd, .clip_lo, .clip_hi, .result(exact)
    );
    ram #(.WIDTH(8), .DEPTH(TABLES * 256)) tables (
      .clk, .we(table_write), .wa(table_place), .wd(table_data), .ra({table_index, exact[7:0]}), .rd(found)
    );
    always_ff @(posedge clk) begin
      exact_q[0] <= exact;
      exact_q[1] <= exact_q[0];
      result[lane] <= exact_q[1];
      code[lane] <= load ? load_data[8*lane +: 8] : use_table ? found : exact_q[1][7:0];
    end
  end
endmodule
