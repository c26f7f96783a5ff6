#define _XOPEN_SOURCE 700

#include "process.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static volatile sig_atomic_t interrupted, terminated;

static void on_interrupt(int signal_number) {
  interrupted = 1;
  if (signal_number == SIGTERM) terminated = 1;
}

void process_catch_interrupts(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

void process_catch_every_interrupt(void) {
  process_catch_interrupts();
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
}

bool process_interrupted(void) { return interrupted != 0; }
bool process_terminated(void) { return terminated != 0; }
void process_forget_interrupt(void) { interrupted = terminated; }

double process_now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double process_peak_memory_bytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return (double)usage.ru_maxrss;
#else
  return (double)usage.ru_maxrss * 1024;
#endif
}
