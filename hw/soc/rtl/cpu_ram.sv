// Program and data memory of the processor, with the firmware from the start.
//
// Timing: `address` in cycle t gives `data` in cycle t + 1. `write` has a bit for each byte.
// FIRMWARE names a file of 32-bit words in hexadecimal; a simulation takes the one of +firmware=FILE instead.
module cpu_ram #(
  parameter int WORDS = 4096,
  parameter string FIRMWARE = "",
  localparam int BITS = $clog2(WORDS)
) (
  input  logic            clk,
  input  logic            enable,
  input  logic [3:0]      write,
  input  logic [BITS-1:0] address,
  input  logic [31:0]     data_in,
  output logic [31:0]     data
);
  (* ram_style = "block" *) logic [31:0] memory [WORDS];

`ifdef SYNTHESIS
  initial $readmemh(FIRMWARE, memory);
`else
  string firmware;
  initial begin
    if (!$value$plusargs("firmware=%s", firmware)) firmware = FIRMWARE;
    if (firmware != "") $readmemh(firmware, memory);
  end
`endif

  always_ff @(posedge clk) begin
    if (enable) begin
      for (int i = 0; i < 4; i++) if (write[i]) memory[address][8*i +: 8] <= data_in[8*i +: 8];
      data <= memory[address];
    end
  end
endmodule
