/* Registers of the system. On the processor an access is a load or a store; a build for another machine brings the two
 * functions. */
#ifndef EDGE_HARDWARE_H
#define EDGE_HARDWARE_H

#include <stdint.h>

#include "edge_soc.h"

#ifdef __riscv
static inline uint32_t hw_read(uint32_t address) { return *(volatile uint32_t *)address; }
static inline void hw_write(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }
#else
uint32_t hw_read(uint32_t address);
void hw_write(uint32_t address, uint32_t value);
#endif

#endif
