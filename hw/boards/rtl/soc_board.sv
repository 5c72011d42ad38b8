// The system on an ECP5 board: serial port, lights, and a sample port for a converter.
//
// A sample is taken at the rising edge of `sample_clock`, which may have a quarter of the array's clock, and must be
// stable for three cycles of the array's clock from there on. A trigger is a rising edge of at least two cycles. Events
// go to the processor; the highest light shows that the array works.
module soc_board #(
  parameter int REFERENCE = 5,
  parameter int FEEDBACK = 23,
  parameter int DIVISOR = 6,
  parameter int CPU_DIVISOR = 15,
  parameter int CPU_HZ = 46_000_000,
  parameter string FIRMWARE = "firmware.hex"
) (
  input  logic        oscillator,
  input  logic        uart_rx,
  output logic        uart_tx,
  output logic [7:0]  leds,
  input  logic        sample_clock,
  input  logic [15:0] sample,
  input  logic        trigger
);
  logic clk, reset, cpu_clk, cpu_reset;
  ecp5_clock #(
    .REFERENCE(REFERENCE), .FEEDBACK(FEEDBACK), .DIVISOR(DIVISOR), .CPU_DIVISOR(CPU_DIVISOR)
  ) clock (.oscillator, .clk, .reset, .cpu_clk, .cpu_reset);

  // Two registers against metastability, one more to see an edge.
  logic [2:0] strobe;
  logic [1:0] trigger_q;
  logic [15:0] sample_q [2], taken;
  logic sample_valid, triggered;
  always_ff @(posedge clk) begin
    strobe <= {strobe[1:0], sample_clock};
    trigger_q <= {trigger_q[0], trigger};
    sample_q[0] <= sample;
    sample_q[1] <= sample_q[0];
    sample_valid <= strobe[2:1] == 2'b01;
    taken <= sample_q[1];
    triggered <= trigger_q[1];
  end

  logic working, event_valid, event_last;
  logic [31:0] event_data;
  logic [7:0] lights;
  soc #(.CPU_HZ(CPU_HZ), .FIRMWARE(FIRMWARE)) system (
    .cpu_clk, .cpu_reset, .array_clk(clk), .array_reset(reset), .uart_rx, .uart_tx, .sample_valid, .sample(taken),
    .trigger(triggered), .event_valid, .event_last, .event_data, .event_ready(1'b1), .leds(lights), .working
  );
  assign leds = {working, lights[6:0]};

  wire unused = &{lights[7], event_valid, event_last, event_data};  // for boards whose pins take events
endmodule
