// Clock of an ECP5: oscillator · FEEDBACK / REFERENCE, and a reset that ends when the PLL has locked.
//
// DIVISOR divides the PLL's own oscillator, which runs at DIVISOR times `clk`: 400 to 800 MHz (Lattice FPGA-DS-02012).
module ecp5_clock #(
  parameter int REFERENCE = 5,
  parameter int FEEDBACK = 23,
  parameter int DIVISOR = 6
) (
  input  logic oscillator,
  output logic clk,
  output logic reset
);
  logic locked;
  EHXPLLL #(
    .CLKI_DIV(REFERENCE), .CLKFB_DIV(FEEDBACK), .CLKOP_DIV(DIVISOR), .CLKOP_CPHASE(DIVISOR / 2), .FEEDBK_PATH("CLKOP")
  ) pll (
    .CLKI(oscillator), .CLKFB(clk), .CLKOP(clk), .LOCK(locked), .PHASESEL1(1'b0), .PHASESEL0(1'b0), .PHASEDIR(1'b0),
    .PHASESTEP(1'b0), .PHASELOADREG(1'b0), .STDBY(1'b0), .PLLWAKESYNC(1'b0), .RST(1'b0), .ENCLKOP(1'b1)
  );

  // `locked` comes when it likes; the reset ends eight cycles later, with the clock. Registers are zero after
  // configuration.
  logic [7:0] settled;
  always_ff @(posedge clk) begin
    settled <= {settled[6:0], locked};
    reset <= !settled[7];
  end
endmodule
