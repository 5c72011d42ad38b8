"""Target c: sources without warnings, exact on the host under sanitizers and on microcontrollers in a simulator."""
