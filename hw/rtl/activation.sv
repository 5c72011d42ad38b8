// Activation memory: eight consecutive bytes from any address in a cycle, and eight to any address.
//
// Each of the eight byte lanes is a memory of its own with its own row address, so an access need not be aligned.
// Timing of a read: `read` in cycle t gives `x` in cycle t + 6; bytes outside of [lo, hi) give 0, others the byte less
// the zero point. The memory is looked at in cycle t + 1. Timing of a write: `write` in cycle t is found by reads
// from cycle t + 2 on (it is in the memory in cycle t + 3).
module activation
  import edge_pkg::*;
(
  input  logic                          clk,
  input  logic signed [ADDRESS_BITS-1:0] read_address,
  input  logic signed [ADDRESS_BITS-1:0] lo,
  input  logic signed [ADDRESS_BITS-1:0] hi,
  input  logic        [7:0]             zero_point,
  output logic        [9*LANES-1:0]     x,         // signed, 9 bits each
  input  logic                          write,
  input  logic        [ADDRESS_BITS-1:0] write_address,
  input  logic        [3:0]             write_bytes,
  input  logic        [7:0]             write_data [LANES]
);
  localparam int ROWS = ACTIVATION_BYTES / LANES;
  localparam int ROW_BITS = $clog2(ROWS);

  logic [ROW_BITS-1:0] read_row [LANES];
  logic [ROW_BITS-1:0] write_row [LANES];
  logic [LANES-1:0] write_lane;
  logic [7:0] write_byte [LANES];
  logic [7:0] byte_out [LANES], byte_q [LANES];

  // A lane before the offset holds a byte of the next row.
  wire [ROW_BITS-1:0] row = read_address[3 +: ROW_BITS];
  wire [2:0] offset = read_address[2:0];
  logic write_q;
  logic [3:0] bytes_w;
  logic [ROW_BITS-1:0] row_w;
  logic [2:0] offset_w;
  logic [7:0] half_turned [LANES];  // by four bytes or not at all
  always_ff @(posedge clk) begin
    write_q <= write;
    bytes_w <= write_bytes;
    row_w <= write_address[3 +: ROW_BITS];
    offset_w <= write_address[2:0];
    for (int lane = 0; lane < LANES; lane++) half_turned[lane] <= write_data[3'(lane) - {write_address[2], 2'b0}];
  end
  always_ff @(posedge clk) begin
    for (int lane = 0; lane < LANES; lane++) begin
      read_row[lane]   <= row + ROW_BITS'(3'(lane) < offset);
      write_row[lane]  <= row_w + ROW_BITS'(3'(lane) < offset_w);
      write_lane[lane] <= write_q && {1'b0, 3'(lane) - offset_w} < bytes_w;
      write_byte[lane] <= half_turned[3'(lane) - {1'b0, offset_w[1:0]}];
    end
  end
  for (genvar lane = 0; lane < LANES; lane++) begin : lanes
    ram #(.WIDTH(8), .DEPTH(ROWS)) bytes (
      .clk, .we(write_lane[lane]), .wa(write_row[lane]), .wd(write_byte[lane]), .ra(read_row[lane]), .rd(byte_out[lane])
    );
  end

  // What travels beside the memory: offset and zero point, and which of the eight bytes are inside of the bounds.
  logic signed [ADDRESS_BITS-1:0] to_lo, to_hi;
  logic [2:0] offset_q [4];
  logic [7:0] zero_point_q [5];
  logic [LANES-1:0] from_lo, below_hi, valid [3];
  logic [7:0] turned [LANES];
  always_ff @(posedge clk) begin
    to_lo <= lo - read_address;
    to_hi <= hi - read_address;
    for (int i = 0; i < LANES; i++) begin
      from_lo[i] <= to_lo <= ADDRESS_BITS'(i);
      below_hi[i] <= to_hi > ADDRESS_BITS'(i);
    end
    valid[0] <= from_lo & below_hi;
    for (int i = 1; i < 3; i++) valid[i] <= valid[i-1];
    offset_q[0] <= offset;
    for (int i = 1; i < 4; i++) offset_q[i] <= offset_q[i-1];
    zero_point_q[0] <= zero_point;
    for (int i = 1; i < 5; i++) zero_point_q[i] <= zero_point_q[i-1];
    for (int i = 0; i < LANES; i++) begin
      byte_q[i] <= byte_out[i];
      turned[i] <= byte_q[3'(i) + offset_q[3]];
      x[9*i +: 9] <= valid[2][i] ? {1'b0, turned[i]} - {1'b0, zero_point_q[4]} : '0;
    end
  end

  wire unused = &{write_address[ADDRESS_BITS-1:3+ROW_BITS], read_address[ADDRESS_BITS-1]};
endmodule
