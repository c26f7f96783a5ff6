/* The process itself: interrupts, the clock, memory. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>

/* From here on the first SIGINT or SIGTERM only makes process_interrupted true; a second one ends the process. */
void process_catch_interrupts(void);
/* The same, but no SIGINT ends the process. */
void process_catch_every_interrupt(void);
bool process_interrupted(void);
bool process_terminated(void); /* by SIGTERM */
/* Makes process_interrupted false again, unless the process is to end. */
void process_forget_interrupt(void);

double process_now_ms(void); /* monotonic */
double process_peak_memory_bytes(void);

#endif
