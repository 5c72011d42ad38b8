// First in, first out, in a block memory.
//
// Timing: what `push` brings in cycle t is on `data` with `level` counting it from cycle t + 2 on. `data` is the oldest
// entry where `level` is not 0; a `pop` takes it, and may follow another one only after a cycle without. `full` refers
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
  (* ram_style = "block" *) logic [WIDTH-1:0] memory [DEPTH];
  logic [BITS:0] written, found, taken;  // one bit more than an address: equal pointers are empty, not full

  assign full = written - taken == (BITS+1)'(DEPTH);
  assign level = found - taken;
  always_ff @(posedge clk) begin
    if (push && !full) memory[written[BITS-1:0]] <= data_in;
    data <= memory[taken[BITS-1:0]];
    if (push && !full) written <= written + 1'b1;
    found <= written;
    if (pop && level != '0) taken <= taken + 1'b1;
    if (reset) begin
      written <= '0;
      found <= '0;
      taken <= '0;
    end
  end

`ifndef SYNTHESIS
  logic popped;
  always_ff @(posedge clk) begin
    popped <= pop;
    if (!reset && pop && popped) $fatal(1, "entries are taken faster than the memory gives them");
    if (!reset && level > (BITS+1)'(DEPTH)) $fatal(1, "more entries than there is room for");
  end
`endif
endmodule
