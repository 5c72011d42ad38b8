/* Included before the self-test of an artifact (gcc -include board.h): counts the time of each call. */
#ifndef BOARD_H
#define BOARD_H

void board_start(void);
void board_stop(void);

#define BEFORE_RUN() board_start()
#define AFTER_RUN() board_stop()

#endif
