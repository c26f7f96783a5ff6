/* What the recorder asks of the host's WebGPU (js/src/gpu/player.ts). Offsets and sizes are in bytes, as doubles where they may pass 32 bits. */
#ifndef SOTTO_GPU_HOST_H
#define SOTTO_GPU_HOST_H

#include "../base/base.h"

typedef struct gpu_host {
  void (*traits)(uint32_t *out); /* fills in gpu_traits; all zero: there is no device */

  uint32_t (*buffer_open)(double bytes); /* zeroed storage; 0: no memory */
  void (*buffer_close)(uint32_t id);
  void (*write)(uint32_t id, double offset, const void *from, size_t bytes);

  uint32_t (*kernel_open)(const char *text, size_t length); /* from 1 on */
  /* Plays a tape (gpu_tape.c), after all that was written and played before. */
  void (*play)(const uint32_t *words, size_t n_words, const int32_t *ints, size_t n_ints);

  /* What the buffer holds after all that was played before: a ticket, from 1 on. */
  uint32_t (*read_open)(uint32_t id, double offset, size_t bytes);
  int32_t (*read_take)(uint32_t ticket,
                       void *to); /* 1: they are in `to`, the ticket is closed; 0: pending; -1: the device is gone */
  void (*read_drop)(uint32_t ticket);
} gpu_host;

/* In WebAssembly the module's imports. Natively NULL, for there is no WebGPU, but where a test puts its own. */
extern const gpu_host *gpu_host_now;

#endif
