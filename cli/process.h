/* The process itself: interrupts, the clock, memory. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>

/* From here on the first SIGINT or SIGTERM only makes process_interrupted true; a second one ends the process. */
void process_catch_interrupts(void);
bool process_interrupted(void);

double process_now_ms(void); /* monotonic */
double process_peak_memory_bytes(void);

#endif
