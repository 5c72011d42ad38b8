/* SPDX-License-Identifier: Apache-2.0
 *
 * What edge_run needs of a team of threads (edge.h): one job at a time, and a barrier inside it.
 */
#ifndef EDGE_TEAM_H
#define EDGE_TEAM_H

#include "edge.h"

typedef void (*edge_work)(void *argument, uint32_t index);

/* Take the team for one job: the number of threads it will have, at most `most`, the caller among them; 1 where the
 * team has no helpers or is at work for another caller, and then it is not taken. */
uint32_t edge_team_take(edge_team *team, uint32_t most);

/* Call work(argument, index) for every index below `threads`, 0 on this thread, all at once; returns when the last has
 * returned, and the team is free again. */
void edge_team_run(edge_team *team, uint32_t threads, edge_work work, void *argument);

/* Inside work: wait until all threads of the job are here. What they wrote before is seen by all after. */
void edge_team_barrier(edge_team *team, uint32_t threads);

#endif
