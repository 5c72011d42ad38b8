# Packages edge_axi as an IP of Vivado, with its buses found by the names of its ports:
#
#     vivado -mode batch -source vivado.tcl -tclargs ip xc7z020clg400-1
#
# The first argument is the folder that is written, the second the part. This script was never run: no Vivado was at
# hand. Its list of sources is that of the simulation (a test holds it to that).
set here [file dirname [file normalize [info script]]]
set hw [file dirname $here]
lassign $argv folder part
if {$folder eq "" || $part eq ""} {
  error "vivado.tcl needs a folder and a part: -tclargs ip xc7z020clg400-1"
}
set sources {
  rtl/edge_pkg.sv
  rtl/pipeline_pkg.sv
  rtl/ram.sv
  rtl/mul_dsp.sv
  rtl/au.sv
  rtl/au_logic.sv
  rtl/dot.sv
  rtl/accumulator.sv
  rtl/pe.sv
  rtl/half_twin.sv
  rtl/array.sv
  rtl/wide_multiply.sv
  rtl/requant.sv
  rtl/lane.sv
  rtl/finish.sv
  rtl/activation.sv
  rtl/beats.sv
  rtl/sequencer.sv
  rtl/accelerator.sv
  soc/rtl/soc_pkg.sv
  soc/rtl/fifo.sv
  soc/rtl/capture.sv
  soc/rtl/feeder.sv
  soc/rtl/array_port.sv
  axi/rtl/edge_axi.sv
}
create_project -force edge_axi $folder/project -part $part
foreach source $sources {
  add_files -norecurse [file join $hw $source]
}
set_property file_type SystemVerilog [get_files *.sv]
set_property top edge_axi [current_fileset]
# The bodies with every multiplier, not those that simulate faster (hw/rtl/half_twin.sv).
set_property verilog_define {UNITS} [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $folder/edge_axi -vendor edgeconv -library user -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name edge_axi $core
set_property display_name "edgeconv array" $core
set_property description "Integer networks on an array of 8-bit multipliers; control by AXI4-Lite" $core
foreach bus {s_axi s_axis m_axis} {
  ipx::associate_bus_interfaces -busif $bus -clock aclk $core
}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
