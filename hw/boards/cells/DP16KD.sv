// A block memory of an ECP5 as synthesis uses it here: port A writes, port B reads (Lattice FPGA-TN-02204).
//
// Both ports are 4, 9, 18 or 36 bits wide; with 18 and 36 bits the lowest address bits of port A enable groups of 9 bits.
// Of 36 bits port A's pins carry the lower half in both directions, port B's the upper one. A word that is read as it is
// written comes out inverted, since the block promises nothing for it (hw/rtl/ram.sv). REGMODE OUTREG adds a register at
// the output, which OCE enables.
module DP16KD #(
  parameter int DATA_WIDTH_A = 18,
  parameter int DATA_WIDTH_B = 18,
  parameter string REGMODE_A = "NOREG",
  parameter string REGMODE_B = "NOREG"
) (
  input  logic        CLKA, CEA, OCEA, WEA,
  input  logic        CLKB, CEB, OCEB,
  input  logic [13:0] ADA,
  input  logic [13:0] ADB,
  input  logic [17:0] DIA,
  input  logic [17:0] DIB,
  output logic [17:0] DOA,
  output logic [17:0] DOB
);
  localparam int WIDTH = DATA_WIDTH_A;
  localparam int UNUSED = WIDTH == 4 ? 2 : WIDTH == 9 ? 3 : WIDTH == 18 ? 4 : 5;  // address bits below a word
  localparam int DEPTH = 16384 >> UNUSED;
  localparam int GROUP = WIDTH > 9 ? 9 : WIDTH;
  localparam int GROUPS = WIDTH / GROUP;
  initial if (DATA_WIDTH_A != DATA_WIDTH_B) $fatal(1, "ports of different widths are not modelled");

  logic [WIDTH-1:0] memory [DEPTH];
  logic [WIDTH-1:0] found, found_q;
  wire [35:0] in = {DIB, DIA};
  wire [GROUPS-1:0] enables = GROUPS > 1 ? ADA[GROUPS-1:0] : '1;
  wire writes = CEA && WEA && enables != '0;
  wire collides = writes && ADA[13:UNUSED] == ADB[13:UNUSED];
  always_ff @(posedge CLKA)
    if (writes)
      for (int i = 0; i < GROUPS; i++)
        if (enables[i]) memory[ADA[13:UNUSED]][GROUP*i +: GROUP] <= in[GROUP*i +: GROUP];
  always_ff @(posedge CLKB)
    if (CEB) found <= collides ? ~memory[ADB[13:UNUSED]] : memory[ADB[13:UNUSED]];

  localparam int LOW = WIDTH == 36 ? 18 : WIDTH;
  always_ff @(posedge CLKA) if (WIDTH == 36 ? OCEA : OCEB) found_q[LOW-1:0] <= found[LOW-1:0];
  if (WIDTH == 36) begin : halves
    always_ff @(posedge CLKB) if (OCEB) found_q[WIDTH-1:18] <= found[WIDTH-1:18];
    assign DOA = REGMODE_A == "OUTREG" ? found_q[17:0] : found[17:0];
    assign DOB = REGMODE_B == "OUTREG" ? found_q[WIDTH-1:18] : found[WIDTH-1:18];
  end else begin : whole
    assign DOA = '0;
    assign DOB = REGMODE_B == "OUTREG" ? 18'(found_q) : 18'(found);
  end
endmodule
