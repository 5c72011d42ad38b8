// Assertions of the RTL that fail: an error of the call into a simulation, not the end of the process.
#pragma once

static bool assertion_failed = false;

// Verilator's, which are left to the model where it is compiled with VL_USER_FATAL and VL_USER_STOP.
void vl_fatal(const char *, int, const char *, const char *) { assertion_failed = true; }
void vl_stop(const char *, int, const char *) { assertion_failed = true; }
