/* Drives a fuzz target where the compiler has no libFuzzer: TARGET SECONDS SEED_FOLDER... runs every seed as it is, then random
 * changes of them until the time is over. An input that crashes stays in crash-input. */
#define _POSIX_C_SOURCE 200809L
#include "../native/check.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MAX_SEEDS 1000
#define MAX_BYTES (1 << 16)

typedef struct seed {
  char *bytes;
  size_t size;
} seed;

static void run(const uint8_t *bytes, size_t size) {
  uint8_t *exact = malloc(size); /* so that the sanitizer sees a read behind the end */
  if (size > 0 && exact == NULL) return;
  if (size > 0) memcpy(exact, bytes, size);
  FILE *f = fopen("build/fuzz/crash-input", "wb");
  if (f != NULL) {
    if (size > 0) fwrite(bytes, 1, size, f);
    fclose(f);
  }
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
}

static size_t mutate(random_state *r, uint8_t *bytes, size_t size) {
  static const uint32_t extremes[] = {0,      1,      0x7f,       0x80,       0xff,      0x7fff,
                                      0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t n = 1 + random_below(r, 4); n > 0 && size > 0; n--) {
    uint32_t at =
        random_below(r, (uint32_t)(random_below(r, 2) ? size : min_size(size, 256))); /* headers are in front */
    switch (random_below(r, 4)) {
      case 0:
        bytes[at] ^= (uint8_t)(1u << random_below(r, 8));
        break;
      case 1:
        bytes[at] = (uint8_t)random_u32(r);
        break;
      case 2: {
        uint32_t v = extremes[random_below(r, sizeof extremes / sizeof *extremes)];
        memcpy(bytes + at, &v, min_size(4, size - at));
        break;
      }
      default:
        size = random_below(r, 4) == 0 ? at : size;
    }
  }
  return size;
}

int main(int argc, char **argv) {
  static seed seeds[MAX_SEEDS];
  static uint8_t input[MAX_BYTES];
  uint32_t n_seeds = 1; /* the first is empty */
  for (int i = 2; i < argc; i++) {
    DIR *folder = opendir(argv[i]);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL && n_seeds < MAX_SEEDS) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
      seed s = {NULL, 0};
      if (entry->d_name[0] != '.' && (s.bytes = read_file(path, &s.size)) != NULL) seeds[n_seeds++] = s;
    }
    if (folder != NULL) closedir(folder);
  }
  double end_ms = now_ms() + 1000 * (argc > 1 ? atof(argv[1]) : 1);
  for (uint32_t i = 0; i < n_seeds; i++) run((uint8_t *)seeds[i].bytes, seeds[i].size);
  random_state r = {(uint64_t)now_ms()};
  int64_t n_runs = n_seeds;
  for (; now_ms() < end_ms; n_runs++) {
    const seed *s = &seeds[random_below(&r, n_seeds)];
    size_t size = min_size(s->size, MAX_BYTES);
    if (size > 0) memcpy(input, s->bytes, size);
    run(input, mutate(&r, input, size));
  }
  printf("%lld runs\n", (long long)n_runs);
  for (uint32_t i = 0; i < n_seeds; i++) free(seeds[i].bytes);
  return check_end();
}
