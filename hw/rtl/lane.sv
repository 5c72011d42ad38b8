// Lane: the requantization unit of one channel with its constants, and the table look-up behind it.
//
// Timing: `parameter_address` in cycle t, `valid` and `acc` of its channel in cycle t + 2, `result` and `code` in cycle
// t + 17. The settings of the layer come when they are needed: `odd` in t + 9, the bounds in t + 11, the table in t + 13
// (number) and t + 15 (use). A write in cycle t is found by addresses from cycle t + 1 on.
// Everything is kept in registers of the lane's own first, since it comes to all lanes from one place.
module lane
  import edge_pkg::*;
#(
  localparam int PARAMETER_ADDRESS = $clog2(PARAMETER_WORDS),
  localparam int TABLE_ADDRESS = $clog2(TABLES * 256)
) (
  input  logic                         clk,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_address,
  input  logic                         valid,
  input  logic signed [ACC_BITS-1:0]   acc,
  input  logic                         odd,
  input  logic signed [31:0]           clip_lo,
  input  logic signed [31:0]           clip_hi,
  input  logic [TABLE_ADDRESS-9:0]     table_index,
  input  logic                         use_table,
  output logic signed [31:0]           result,  // 32 bits, no table
  output logic [7:0]                   code,    // what the activation memory takes
  input  logic                         parameter_write,
  input  logic [PARAMETER_ADDRESS-1:0] parameter_place,
  input  logic [PARAMETER_BITS-1:0]    parameter_data,
  input  logic                         table_write,
  input  logic [TABLE_ADDRESS-1:0]     table_place,
  input  logic [7:0]                   table_data
);
  logic [PARAMETER_ADDRESS-1:0] address_q, parameter_place_q;
  logic valid_q, odd_q, use_table_q, parameter_write_q, table_write_q;
  logic signed [ACC_BITS-1:0] acc_q;
  logic signed [31:0] clip_lo_q, clip_hi_q;
  logic [TABLE_ADDRESS-9:0] table_index_q;
  logic [PARAMETER_BITS-1:0] parameter_data_q;
  logic [TABLE_ADDRESS-1:0] table_place_q;
  logic [7:0] table_data_q;
  always_ff @(posedge clk) begin
    address_q <= parameter_address;
    valid_q <= valid;
    acc_q <= acc;
    odd_q <= odd;
    clip_lo_q <= clip_lo;
    clip_hi_q <= clip_hi;
    table_index_q <= table_index;
    use_table_q <= use_table;
    parameter_write_q <= parameter_write;
    parameter_place_q <= parameter_place;
    parameter_data_q <= parameter_data;
    table_write_q <= table_write;
    table_place_q <= table_place;
    table_data_q <= table_data;
  end

  logic [PARAMETER_BITS-1:0] constants;
  logic signed [31:0] exact, exact_q [2];
  logic [7:0] found;
  ram #(.WIDTH(PARAMETER_BITS), .DEPTH(PARAMETER_WORDS)) parameters (
    .clk, .we(parameter_write_q), .wa(parameter_place_q), .wd(parameter_data_q), .ra(address_q), .rd(constants)
  );
  requant unit (
    .clk, .valid(valid_q), .acc(acc_q), .constants(parameter_t'(constants)), .odd(odd_q), .clip_lo(clip_lo_q),
    .clip_hi(clip_hi_q), .result(exact)
  );
  ram #(.WIDTH(8), .DEPTH(TABLES * 256)) tables (
    .clk, .we(table_write_q), .wa(table_place_q), .wd(table_data_q), .ra({table_index_q, exact[7:0]}), .rd(found)
  );
  always_ff @(posedge clk) begin
    exact_q[0] <= exact;
    exact_q[1] <= exact_q[0];
    result <= exact_q[1];
    code <= use_table_q ? found : exact_q[1][7:0];
  end
endmodule
