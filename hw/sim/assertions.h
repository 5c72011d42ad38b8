// Assertions of the RTL that fail: an error of the call into a simulation, not the end of the process.
#pragma once

#include <cstdio>

static bool assertion_failed = false;

// Verilator's, which are left to the model where it is compiled with VL_USER_FATAL and VL_USER_STOP. What the assertion
// says has been printed, and is to be seen at once.
void vl_fatal(const char *, int, const char *, const char *) {
  assertion_failed = true;
  std::fflush(stdout);
}
void vl_stop(const char *file, int line, const char *where) { vl_fatal(file, line, where, ""); }
