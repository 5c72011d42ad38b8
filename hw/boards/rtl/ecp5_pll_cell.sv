// The PLL of an ECP5 as the tools know it, without a body: those of its parameters and ports that ecp5_clock.sv uses.
(* blackbox *)
module EHXPLLL #(
  parameter int CLKI_DIV = 1,
  parameter int CLKFB_DIV = 1,
  parameter int CLKOP_DIV = 8,
  parameter int CLKOP_CPHASE = 0,
  parameter int CLKOP_FPHASE = 0,
  parameter int CLKOS_DIV = 8,
  parameter int CLKOS_CPHASE = 0,
  parameter int CLKOS_FPHASE = 0,
  parameter string CLKOP_ENABLE = "ENABLED",
  parameter string CLKOS_ENABLE = "DISABLED",
  parameter string FEEDBK_PATH = "CLKOP",
  parameter string OUTDIVIDER_MUXA = "DIVA",
  parameter string OUTDIVIDER_MUXB = "DIVB",
  parameter string PLLRST_ENA = "DISABLED",
  parameter string STDBY_ENABLE = "DISABLED",
  parameter string DPHASE_SOURCE = "DISABLED"
) (
  input CLKI, CLKFB, PHASESEL1, PHASESEL0, PHASEDIR, PHASESTEP, PHASELOADREG, STDBY, PLLWAKESYNC, RST, ENCLKOP, ENCLKOS,
  output CLKOP, CLKOS, LOCK
);
endmodule
