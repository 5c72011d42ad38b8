"""The array behind AXI for systems that exist already: control by AXI4-Lite, samples and events by AXI4-Stream."""
