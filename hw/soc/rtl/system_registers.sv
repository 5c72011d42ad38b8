// Registers in the processor's clock domain: identity, timer, serial port, lights, watchdog.
//
// Timing: `access` is high for one cycle with the others; `data` is there in the next one.
module system_registers
  import soc_pkg::*;
#(
  parameter int CPU_HZ = 50_000_000,
  parameter int UART_DIVIDER = 433,  // at reset
  parameter int UART_RECEIVED = 2048
) (
  input  logic        clk,
  input  logic        reset,
  input  logic        access,
  input  logic        write,
  input  logic [7:0]  address,
  input  logic [31:0] data_in,
  output logic [31:0] data,
  input  logic        trapped,
  output logic        restart,  // the processor is to start again
  output logic [7:0]  leds,
  input  logic        uart_rx,
  output logic        uart_tx
);
  localparam int LEVEL_BITS = $clog2(UART_RECEIVED) + 1;
  logic [31:0] timer;
  logic [15:0] divider, restarts, lost, broken;
  logic [7:0] received;
  logic [LEVEL_BITS-1:0] waiting;
  logic sending;
  wire to_uart = access && address == SYSTEM_UART_DATA;
  uart #(.RECEIVED(UART_RECEIVED)) serial (
    .clk, .reset, .divider, .rx(uart_rx), .tx(uart_tx), .send(to_uart && write), .send_data(data_in[7:0]), .sending,
    .take(to_uart && !write && waiting != '0), .received, .waiting, .lost, .broken
  );

  logic watched;
  logic [31:0] watchdog;
  wire expired = watched && watchdog == '0;
  always_ff @(posedge clk) begin
    restart <= trapped || expired;
    watchdog <= watchdog - 1'b1;
    if (access && write && address == SYSTEM_WATCHDOG) begin
      watchdog <= data_in;
      watched <= data_in != '0;
    end
    if (restart) begin
      watched <= 1'b0;
    end else if (trapped || expired) begin
      restarts <= restarts + 1'b1;
    end
    if (reset) begin
      watched <= 1'b0;
      restart <= 1'b0;
      restarts <= '0;
    end
  end

  always_ff @(posedge clk) begin
    timer <= timer + 1'b1;
    if (access && write && address == SYSTEM_UART_DIVIDER) divider <= data_in[15:0];
    if (access && write && address == SYSTEM_LEDS) leds <= data_in[7:0];
    if (access) begin
      case (address)
        SYSTEM_IDENT: data <= IDENT;
        SYSTEM_CPU_HZ: data <= CPU_HZ;
        SYSTEM_TIMER: data <= timer;
        SYSTEM_UART_DATA: data <= {waiting == '0, 23'b0, received};
        SYSTEM_UART_STATUS: data <= {16'(waiting), 15'b0, sending};
        SYSTEM_UART_DIVIDER: data <= 32'(divider);
        SYSTEM_UART_FAULTS: data <= {broken, lost};
        SYSTEM_LEDS: data <= 32'(leds);
        SYSTEM_RESTARTS: data <= 32'(restarts);
        default: data <= '0;
      endcase
    end
    if (reset) begin
      timer <= '0;
      divider <= 16'(UART_DIVIDER);
      leds <= '0;
    end
  end
endmodule
