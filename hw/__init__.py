"""The integer accelerator: RTL, its simulation, and the Python that drives the open FPGA tools."""
