#include "gpu_host.h"

#ifdef __wasm__

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) host_##name

void IMPORT(gpu_traits)(uint32_t *out);
uint32_t IMPORT(gpu_buffer_open)(double bytes);
void IMPORT(gpu_buffer_close)(uint32_t id);
void IMPORT(gpu_write)(uint32_t id, double offset, const void *from, size_t bytes);
uint32_t IMPORT(gpu_kernel_open)(const char *text, size_t length);
void IMPORT(gpu_play)(const uint32_t *words, size_t n_words, const int32_t *ints, size_t n_ints);
uint32_t IMPORT(gpu_read_open)(uint32_t id, double offset, size_t bytes);
int32_t IMPORT(gpu_read_take)(uint32_t ticket, void *to);
void IMPORT(gpu_read_drop)(uint32_t ticket);

static const gpu_host imports = {
    .traits = host_gpu_traits,
    .buffer_open = host_gpu_buffer_open,
    .buffer_close = host_gpu_buffer_close,
    .write = host_gpu_write,
    .kernel_open = host_gpu_kernel_open,
    .play = host_gpu_play,
    .read_open = host_gpu_read_open,
    .read_take = host_gpu_read_take,
    .read_drop = host_gpu_read_drop,
};
const gpu_host *gpu_host_now = &imports;

#else

const gpu_host *gpu_host_now;

#endif
