// The system: a RISC-V processor with memory, serial port and timer, and the array with its sample port.
//
// Two clocks, which may have any ratio and phase: the processor's, and the array's, to which samples, trigger and events
// belong (capture.sv, feeder.sv say how). Resets are high for some cycles of their clock; both are needed.
//
// Memory map: memory from 0, registers in the processor's domain at SYSTEM_BASE, in the array's at ARRAY_BASE (soc_pkg).
// A processor that traps is started again, and counted.
module soc
  import soc_pkg::*;
#(
  parameter int    RAM_WORDS = 4096,
  parameter string FIRMWARE = "",        // see cpu_ram.sv
  parameter int    CPU_HZ = 50_000_000,
  parameter int    UART_BAUD = 115_200,
  parameter int    UART_RECEIVED = 2048  // longer than the longest frame
) (
  input  logic        cpu_clk,
  input  logic        cpu_reset,
  input  logic        array_clk,
  input  logic        array_reset,
  input  logic        uart_rx,
  output logic        uart_tx,
  input  logic        sample_valid,
  input  logic [15:0] sample,
  input  logic        trigger,
  output logic        event_valid,
  output logic        event_last,
  output logic [31:0] event_data,
  input  logic        event_ready,
  output logic [7:0]  leds,
  output logic        working           // the array computes
);
  localparam int RAM_BITS = $clog2(RAM_WORDS);
  localparam int DIVIDER = CPU_HZ / UART_BAUD - 1;

  logic restart, trap, running;
  logic valid, ready, instruction;
  logic [31:0] address, write_data, read_data;
  logic [3:0] strobe;
  logic early_read, early_write;  // what the next cycle brings
  logic [31:0] early_address, early_data;
  logic [3:0] early_strobe;
  always_ff @(posedge cpu_clk) running <= !(cpu_reset || restart);
  picorv32 #(
    .ENABLE_COUNTERS(0), .ENABLE_COUNTERS64(0), .BARREL_SHIFTER(1), .TWO_STAGE_SHIFT(0), .CATCH_MISALIGN(1),
    .CATCH_ILLINSN(1), .ENABLE_IRQ(0), .PROGADDR_RESET(0), .STACKADDR(4 * RAM_WORDS)
  ) processor (
    .clk(cpu_clk), .resetn(running), .trap, .mem_valid(valid), .mem_instr(instruction), .mem_ready(ready),
    .mem_addr(address), .mem_wdata(write_data), .mem_wstrb(strobe), .mem_rdata(read_data),
    .mem_la_read(early_read), .mem_la_write(early_write), .mem_la_addr(early_address), .mem_la_wdata(early_data),
    .mem_la_wstrb(early_strobe),
    .pcpi_valid(), .pcpi_insn(), .pcpi_rs1(), .pcpi_rs2(), .pcpi_wr(1'b0), .pcpi_rd('0), .pcpi_wait(1'b0),
    .pcpi_ready(1'b0), .irq('0), .eoi(), .trace_valid(), .trace_data()
  );

  // Memory looks one cycle ahead and answers at once, near registers in the next cycle, far ones when they do, and what
  // is nowhere with zero.
  wire in_ram = address[31:28] == 4'h0;
  wire in_system = address[31:28] == SYSTEM_BASE[31:28];
  wire in_array = address[31:28] == ARRAY_BASE[31:28];
  logic near_ready, array_ready, array_failed;
  logic [31:0] ram_data, system_data, array_data;
  wire near = valid && !ready && !in_ram && !in_array;
  always_ff @(posedge cpu_clk) near_ready <= near && running;
  assign ready = in_ram || near_ready || array_ready;
  assign read_data = in_ram ? ram_data : array_ready ? (array_failed ? '0 : array_data) : in_system ? system_data : '0;

  cpu_ram #(.WORDS(RAM_WORDS), .FIRMWARE(FIRMWARE)) program_memory (
    .clk(cpu_clk), .enable((early_read || early_write) && early_address[31:28] == 4'h0),
    .write(early_write ? early_strobe : '0), .address(early_address[2 +: RAM_BITS]), .data_in(early_data), .data(ram_data)
  );
  system_registers #(.CPU_HZ(CPU_HZ), .UART_DIVIDER(DIVIDER), .UART_RECEIVED(UART_RECEIVED)) system (
    .clk(cpu_clk), .reset(cpu_reset), .access(near && in_system), .write(strobe != '0), .address(address[7:0]),
    .data_in(write_data), .data(system_data), .trapped(trap && running), .restart, .leds, .uart_rx, .uart_tx
  );

  logic access, access_write;
  logic [7:0] access_address;
  logic [31:0] access_data, answer;
  crossing #(.DUE(edge_pkg::RESULT_CYCLES)) to_array (
    .cpu_clk, .cpu_reset, .restart(!running), .valid(valid && in_array), .write(strobe != '0), .address(address[7:0]),
    .data_in(write_data), .ready(array_ready), .failed(array_failed), .data_out(array_data), .array_clk, .array_reset,
    .access, .access_write, .access_address, .access_data, .answer
  );
  array_port array (
    .clk(array_clk), .reset(array_reset), .access, .write(access_write), .address(access_address),
    .data_in(access_data), .answer, .sample_valid, .sample, .trigger, .event_valid, .event_last, .event_data,
    .event_ready, .working
  );
  wire unused = &{instruction, address[27:0], early_address};
endmodule
