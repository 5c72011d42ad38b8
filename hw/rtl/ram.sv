// Memory with one write and one read port; a read takes two cycles.
//
// Timing: `ra` in cycle t gives `rd` in cycle t + 2. What a write in cycle t stores is found by reads from t + 1 on; a
// read of the same word in cycle t finds neither the old nor the new one (in simulation the old one inverted), since
// the ports of block memories promise nothing for it (in synthesis it is not looked at). Under ECP5 the second register is
// the block memory's own output register, which synthesis sets afterwards (REGMODE = OUTREG).
//
// A wide word may stand in PARTS one after the other, in narrow memories: the address of a write counts parts, and a read
// is put together by looking at one part a cycle, all the time, so `rd` has a word PARTS + 2 cycles after its address. The
// words of all parts must be a power of two and more than 64 then.
// Under ECP5 a depth that is no power of two is that of a block memory and of another one for the rest, whose last few
// words are in look-up tables: a power of two above it would take blocks that the chip does not have.
module ram #(
  parameter int WIDTH = 8,
  parameter int DEPTH = 512,
  parameter int PARTS = 1,
  localparam int PART = WIDTH / PARTS,
  localparam int PART_BITS = $clog2(PARTS)
) (
  input  logic                               clk,
  input  logic                               we,
  input  logic [$clog2(DEPTH)+PART_BITS-1:0] wa,
  input  logic [PART-1:0]                    wd,
  input  logic [$clog2(DEPTH)-1:0]           ra,
  output logic [WIDTH-1:0]                   rd
);
  localparam int ROWS = DEPTH * PARTS;
  // Synthesis knows by the memory's name which blocks have the second register (hw/boards/synthesis.py).
`ifdef ECP5
  localparam int BLOCK = 1 << ($clog2(ROWS + 1) - 1);  // the largest power of two
  localparam bit FEW = BLOCK <= 64;
  localparam string STYLE = FEW ? "distributed" : "block";
  (* ram_style = STYLE, no_rw_check *)
`else
  localparam int BLOCK = ROWS;
  (* ram_style = "block", no_rw_check *)
`endif
  logic [PART-1:0] two_cycle_memory [BLOCK];
  logic [PART-1:0] first;

  if (PARTS > 1) begin : in_parts
    logic [PART_BITS-1:0] at, at_q [2];
    logic [PART-1:0] found;
    always_ff @(posedge clk) begin
      at <= at + 1'b1;
      at_q <= '{at, at_q[0]};
      if (we) two_cycle_memory[wa] <= wd;
`ifdef ECP5
      first <= two_cycle_memory[{ra, at}];
`else
      first <= we && wa == {ra, at} ? ~two_cycle_memory[{ra, at}] : two_cycle_memory[{ra, at}];
      found <= first;
`endif
      for (int i = 0; i < PARTS; i++) if (at_q[1] == PART_BITS'(i)) rd[PART*i +: PART] <= found;
    end
`ifdef ECP5
    assign found = first;
`endif
  end else begin : at_once
`ifdef ECP5
    if (BLOCK != ROWS) begin : with_rest
      localparam int BITS = $clog2(BLOCK);
      localparam int REST_BITS = $clog2(ROWS - BLOCK);
      logic [WIDTH-1:0] other;
      logic [1:0] beyond;
      ram #(.WIDTH(WIDTH), .DEPTH(ROWS - BLOCK)) rest (
        .clk, .we(we && wa[BITS]), .wa(wa[REST_BITS-1:0]), .wd, .ra(ra[REST_BITS-1:0]), .rd(other)
      );
      always_ff @(posedge clk) begin
        if (we && !wa[BITS]) two_cycle_memory[wa[BITS-1:0]] <= wd;
        first <= two_cycle_memory[ra[BITS-1:0]];
        beyond <= {beyond[0], ra[BITS]};
      end
      assign rd = beyond[1] ? other : first;
    end else begin : one_block
      always_ff @(posedge clk) begin
        if (we) two_cycle_memory[wa] <= wd;
      end
      always_ff @(posedge clk) first <= two_cycle_memory[ra];
      if (FEW) begin : registered
        always_ff @(posedge clk) rd <= first;
      end else begin : in_block
        assign rd = first;
      end
    end
`else
    always_ff @(posedge clk) begin
      if (we) two_cycle_memory[wa] <= wd;
    end
    always_ff @(posedge clk) begin
`ifdef SYNTHESIS
      first <= two_cycle_memory[ra];
`else
      first <= we && wa == ra ? ~two_cycle_memory[ra] : two_cycle_memory[ra];
`endif
      rd <= first;
    end
`endif
  end
endmodule
