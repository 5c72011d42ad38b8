"""From RTL to bitstream with open tools: yosys, nextpnr and ecppack, all from pip (docs/boards.md)."""
