// Memory with one write and one read port; a read takes two cycles.
//
// Timing: `ra` in cycle t gives `rd` in cycle t + 2. What a write in cycle t stores is found by reads from t + 1 on; a
// read of the same word in cycle t finds neither the old nor the new one (in simulation the old one inverted), since
// the ports of block memories promise nothing for it (in synthesis it is not looked at). Under ECP5 the second register is
// the block memory's own output register, which synthesis sets afterwards (REGMODE = OUTREG).
module ram #(
  parameter int WIDTH = 8,
  parameter int DEPTH = 512
) (
  input  logic                     clk,
  input  logic                     we,
  input  logic [$clog2(DEPTH)-1:0] wa,
  input  logic [WIDTH-1:0]         wd,
  input  logic [$clog2(DEPTH)-1:0] ra,
  output logic [WIDTH-1:0]         rd
);
  // Synthesis knows by this name which block memories have the second register (hw/boards/synthesis.py).
  (* ram_style = "block", no_rw_check *) logic [WIDTH-1:0] two_cycle_memory [DEPTH];
  logic [WIDTH-1:0] first;

  always_ff @(posedge clk) begin
    if (we) two_cycle_memory[wa] <= wd;
  end
`ifdef ECP5
  always_ff @(posedge clk) first <= two_cycle_memory[ra];
  assign rd = first;
`else
  always_ff @(posedge clk) begin
`ifdef SYNTHESIS
    first <= two_cycle_memory[ra];
`else
    first <= we && wa == ra ? ~two_cycle_memory[ra] : two_cycle_memory[ra];
`endif
    rd <= first;
  end
`endif
endmodule
