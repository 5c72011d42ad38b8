// First in, first out, in a block memory.
//
// Timing: what `push` brings in cycle t is on `data` with `level` counting it from cycle t + 3 on. `data` is the oldest
// entry where `level` is not 0; a `pop` takes it, and may follow another one only after two cycles without. `full` refers
// to the same cycle: a push while it is high is ignored.
module fifo #(
  parameter int WIDTH = 8,
  parameter int DEPTH = 512,
  localparam int BITS = $clog2(DEPTH)
) (
  input  logic             clk,
  input  logic             reset,
  input  logic             push,
  input  logic [WIDTH-1:0] data_in,
  output logic             full,
  input  logic             pop,
  output logic [WIDTH-1:0] data,
  output logic [BITS:0]    level
);
  logic [BITS:0] written, written_q, found, taken;  // one bit more than an address: equal pointers are empty, not full
  ram #(.WIDTH(WIDTH), .DEPTH(DEPTH)) memory (
    .clk, .we(push && !full), .wa(written[BITS-1:0]), .wd(data_in), .ra(taken[BITS-1:0]), .rd(data)
  );

  assign full = written - taken == (BITS+1)'(DEPTH);
  assign level = found - taken;
  always_ff @(posedge clk) begin
    if (push && !full) written <= written + 1'b1;
    written_q <= written;
    found <= written_q;
    if (pop && level != '0) taken <= taken + 1'b1;
    if (reset) begin
      written <= '0;
      written_q <= '0;
      found <= '0;
      taken <= '0;
    end
  end

`ifndef SYNTHESIS
  logic [1:0] popped;
  always_ff @(posedge clk) begin
    popped <= {popped[0], pop};
    if (!reset && pop && popped != '0) $fatal(1, "entries are taken faster than the memory gives them");
    if (!reset && level > (BITS+1)'(DEPTH)) $fatal(1, "more entries than there is room for");
  end
`endif
endmodule
