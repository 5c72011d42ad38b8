// Clocks of an ECP5: oscillator · FEEDBACK / REFERENCE for the array, a slower one for a processor, and resets that end
// when the PLL has locked.
//
// The PLL's own oscillator runs at DIVISOR times `clk`, 400 to 800 MHz (Lattice FPGA-DS-02012); CPU_DIVISOR divides it
// for the processor.
module ecp5_clock #(
  parameter int REFERENCE = 5,
  parameter int FEEDBACK = 23,
  parameter int DIVISOR = 6,
  parameter int CPU_DIVISOR = 15
) (
  input  logic oscillator,
  output logic clk,
  output logic reset,
  output logic cpu_clk,
  output logic cpu_reset
);
  logic locked;
  EHXPLLL #(
    .CLKI_DIV(REFERENCE), .CLKFB_DIV(FEEDBACK), .CLKOP_DIV(DIVISOR), .CLKOP_CPHASE(DIVISOR / 2), .FEEDBK_PATH("CLKOP"),
    .CLKOS_ENABLE("ENABLED"), .CLKOS_DIV(CPU_DIVISOR), .CLKOS_CPHASE(DIVISOR / 2)
  ) pll (
    .CLKI(oscillator), .CLKFB(clk), .CLKOP(clk), .CLKOS(cpu_clk), .LOCK(locked), .PHASESEL1(1'b0), .PHASESEL0(1'b0),
    .PHASEDIR(1'b0), .PHASESTEP(1'b0), .PHASELOADREG(1'b0), .STDBY(1'b0), .PLLWAKESYNC(1'b0), .RST(1'b0),
    .ENCLKOP(1'b1), .ENCLKOS(1'b1)
  );

  // `locked` comes when it likes; resets end eight cycles later, with their clocks. Registers are zero after
  // configuration.
  logic [7:0] settled, cpu_settled;
  always_ff @(posedge clk) begin
    settled <= {settled[6:0], locked};
    reset <= !settled[7];
  end
  always_ff @(posedge cpu_clk) begin
    cpu_settled <= {cpu_settled[6:0], locked};
    cpu_reset <= !cpu_settled[7];
  end
endmodule
