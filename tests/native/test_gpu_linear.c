/* How products of few rows are shared out on the GPU: for every shape a kernel that the device's limits allow, and that takes all rows. */
#include "../../src/gpu/gpu_host.h"
#include "../../src/gpu/gpu_tape.h"
#include "check.h"

/* ---- a host that keeps the texts of kernels and the last tape ---- */

enum { MAX_WORDS = 512 };

static char kernel[256];
static uint32_t tape[MAX_WORDS];
static size_t n_played;

static uint32_t host_kernel_open(const char *text, size_t length) {
  snprintf(kernel, sizeof kernel, "%.*s", (int)length, text);
  return 1;
}

static void host_play(const uint32_t *words, size_t n_words, const int32_t *ints, size_t n_ints) {
  (void)ints, (void)n_ints;
  n_played = n_words;
  if (CHECK(n_words <= MAX_WORDS)) memcpy(tape, words, n_words * sizeof *words);
}

static const gpu_host host = {.kernel_open = host_kernel_open, .play = host_play};

static int key(const char *name) {
  const char *at = strstr(kernel, name);
  return at != NULL ? atoi(at + strlen(name)) : -1;
}

/* ---- tests ---- */

static int32_t quads_of(uint32_t type) {
  return type == DTYPE_F32 ? 1 : type == DTYPE_F16 ? 2 : type == DTYPE_Q8_0 ? 4 : 8;
}

static void check_shape(const gpu_traits *traits, uint32_t type, int32_t rows, int32_t in, int32_t out, int kind) {
  gpu g = {.traits = *traits};
  g.tape = gpu_tape_open(); /* anew: so the kernel's text is seen */
  g.reads = gpu_reads_open();
  buffer act = {.id = 1}, vec = {.id = 2};
  weight w = {.type = type, .out = out, .in = in, .n_parts = 1, .parts = {{.id = 3, .n = out}}};
  const tensor x = tensor_matrix(&act, 0, rows, in), y = tensor_matrix(&act, 0, rows, out),
               gain = tensor_matrix(&vec, 0, 1, in);
  const normed norm = {.x = x,
                       .add = &x,
                       .add_gain = kind == 2 ? &gain : NULL,
                       .sum = x,
                       .gain = gain,
                       .bias = kind == 1 ? &gain : NULL};
  if (kind == 0)
    gpu_linear(&g.base, y, x, &w, NULL, ACT_NONE, NULL);
  else if (kind == 1)
    gpu_norm_linear(&g.base, &norm, &(product){y, &w, NULL}, 1, ACT_NONE);
  else
    gpu_norm_geglu(&g.base, y, &norm, &w, &w, y);
  gpu_flush(&g);

  const int32_t quads = quads_of(type), units = (in + 4 * quads - 1) / (4 * quads);
  const int32_t threads = key(" threads="), lanes = key(" lanes="), each = key(" each="), deep = key(" deep="),
                room = key(" room=");
  const int32_t whole = key(" whole=");
  bool ok = CHECK(threads >= 1 && threads <= (int32_t)traits->max_invocations && lanes >= 1 && threads % lanes == 0);
  ok = CHECK(each >= 1 && deep >= 1 && room >= 1) && ok;
  /* xs, parts of products; of the norm: two sums of a layer norm, by subgroups where there are any; of the sum */
  const int32_t sg = key(" sg=");
  const int32_t sums = kind == 0 ? 0 : kind == 2 ? 2 * (threads + 16) : sg > 0 ? 2 * (threads / sg + 1) : threads + 32;
  const int32_t bytes = 16 * room + 4 * rows * (each * threads * (kind == 2 ? 2 : 1) + sums);
  ok = CHECK(bytes <= (int32_t)traits->max_workgroup_bytes) && ok;
  /* The parameters after six words of the dispatch: units in xs, tiles; y, its stride, bias, rows, workgroups of the first product. */
  const uint32_t *params = tape + 6;
  const int32_t piece = (int32_t)params[13], tiles = (int32_t)params[14], groups = (int32_t)params[19];
  ok = CHECK(whole == 0 || (whole == units && room >= rows * (units | 1) * quads)) && ok;
  ok = CHECK(whole > 0 || (piece > 0 && piece % (lanes * deep) == 0 && room >= rows * (piece | 1) * quads)) && ok;
  const int64_t tile = (int64_t)threads / lanes * each * tiles;
  ok = CHECK(groups * tile >= out && (groups - 1) * tile < out) && ok;
  if (!ok) fprintf(stderr, "%s [%d, %d] of %d rows, %d: %s\n", dtype_name(type), out, in, rows, kind, kernel);
  gpu_tape_close(g.tape);
  gpu_reads_close(g.reads);
}

int main(void) {
  gpu_host_now = &host;
  static const uint32_t types[] = {DTYPE_F32, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0};
  static const int32_t sizes[] = {1, 33, 512, 1152, 6912, 20480}, outs[] = {1, 300, 6912, 262144};
  static const uint32_t bytes[] = {16384, 32768, 49152};
  for (size_t t = 0; t < 4; t++)
    for (size_t i = 0; i < 6; i++)
      for (size_t o = 0; o < 4; o++)
        for (size_t b = 0; b < 3; b++)
          for (int32_t rows = 1; rows <= 8; rows++)
            for (int kind = 0; kind < 3; kind++) {
              const uint32_t subgroup = b == 2 ? 32 : 0;
              const gpu_traits traits = {.max_workgroup_bytes = bytes[b],
                                         .max_invocations = 256,
                                         .subgroup_min = subgroup,
                                         .subgroup_max = subgroup};
              const int32_t in = t < 2 ? sizes[i] : (sizes[i] + 31) / 32 * 32;
              check_shape(&traits, types[t], rows, in, outs[o], kind);
            }
  return check_end();
}
