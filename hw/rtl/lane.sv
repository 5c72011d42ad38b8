// Lane: the requantization unit of one channel with its constants, and the table look-up behind it.
//
// Timing: `parameter_address` in cycle t, `valid` in t + 3 and `acc` of its channel in t + 4, `result` and `code` in cycle
// t + 19. The settings of the layer come when they are needed: `odd` in t + 10, the bounds in t + 12, the table in
// t + 14 (number) and t + 16 (use). A write in cycle t is found by addresses from cycle t + 1 on.
// What comes to all lanes from one place goes through one or two registers of the lane's own first.
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
  // What is on its way, first of two registers.
  typedef struct packed {
    logic [PARAMETER_ADDRESS-1:0] address;
    logic valid, odd, use_table;
    logic signed [31:0] clip_lo, clip_hi;
    logic [TABLE_ADDRESS-9:0] table_index;
  } settings_in_t;
  settings_in_t coming, here;
  logic signed [ACC_BITS-1:0] acc_q;
  logic parameter_write_q, table_write_q;
  logic [PARAMETER_ADDRESS-1:0] parameter_place_q;
  logic [PARAMETER_BITS-1:0] parameter_data_q;
  logic [TABLE_ADDRESS-1:0] table_place_q;
  logic [7:0] table_data_q;
  always_ff @(posedge clk) begin
    coming <= '{address: parameter_address, valid: valid, odd: odd, use_table: use_table, clip_lo: clip_lo,
                clip_hi: clip_hi, table_index: table_index};
    here <= coming;
    acc_q <= acc;
    parameter_write_q <= parameter_write;
    parameter_place_q <= parameter_place;
    parameter_data_q <= parameter_data;
    table_write_q <= table_write;
    table_place_q <= table_place;
    table_data_q <= table_data;
  end

  logic [PARAMETER_BITS-1:0] constants, found_constants;
  logic signed [31:0] exact, exact_q [2];
  logic [7:0] found;
  ram #(.WIDTH(PARAMETER_BITS), .DEPTH(PARAMETER_WORDS)) parameters (
    .clk, .we(parameter_write_q), .wa(parameter_place_q), .wd(parameter_data_q), .ra(here.address), .rd(found_constants)
  );
  requant unit (
    .clk, .valid(here.valid), .acc(acc_q), .constants(parameter_t'(constants)), .odd(here.odd), .clip_lo(here.clip_lo),
    .clip_hi(here.clip_hi), .result(exact)
  );
  ram #(.WIDTH(8), .DEPTH(TABLES * 256)) tables (
    .clk, .we(table_write_q), .wa(table_place_q), .wd(table_data_q), .ra({here.table_index, exact[7:0]}), .rd(found)
  );
  always_ff @(posedge clk) begin
    constants <= found_constants;
    exact_q[0] <= exact;
    exact_q[1] <= exact_q[0];
    result <= exact_q[1];
    code <= here.use_table ? found : exact_q[1][7:0];
  end
endmodule
