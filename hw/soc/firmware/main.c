/* The firmware. */
#include "link.h"

static link_t line;

int main(void) {
  link_begin(&line);
  for (;;) link_poll(&line);
}
