/* The GPU backend without a GPU: a host in its place checks every call, and every dispatch that both models record. What kernels compute is for
 * tests/gpu. */
#include "../../src/base/pool.h"
#include "../../src/gpu/gpu_host.h"
#include "../../src/gpu/gpu_tape.h"
#include "../../src/models/whisper.h"
#include "make_gemma.h"

/* ---- a host ---- */

enum {
  MAX_BUFFERS = 4096,
  MAX_KERNELS = 512,
  MAX_TICKETS = 4096,
  MAX_STORAGE = 8,
  MAX_PARAM_WORDS = 64,
  MAX_GRID = 65535
};

typedef struct fake_buffer {
  uint8_t *data;
  size_t bytes;
} fake_buffer;

static struct {
  gpu_traits traits;
  fake_buffer buffers[MAX_BUFFERS];
  uint32_t n_ids, n_open, n_plays, n_dispatches, n_tickets, n_open_tickets;
  char kernels[MAX_KERNELS][256];
  bool reads_ints[MAX_KERNELS];
  uint32_t n_kernels;
  fake_buffer tickets[MAX_TICKETS];
  bool pending[MAX_TICKETS]; /* not asked for yet: the first answer is "later" */
  bool gone;
  uint32_t last[256]; /* the last tape, or its beginning */
  size_t n_last, n_last_ints;
} fake;

static bool is_open(uint32_t id) { return id > 0 && id <= fake.n_ids && fake.buffers[id].data != NULL; }

static bool inside(uint32_t id, double offset, size_t bytes) {
  return CHECK(is_open(id)) && CHECK(offset >= 0 && offset + (double)bytes <= (double)fake.buffers[id].bytes) &&
         CHECK(fmod(offset, 4) == 0 && bytes % 4 == 0);
}

static void fake_traits(uint32_t *out) { memcpy(out, &fake.traits, sizeof fake.traits); }

static uint32_t fake_buffer_open(double bytes) {
  CHECK(bytes > 0 && fmod(bytes, 16) == 0 && bytes <= fake.traits.max_buffer_bytes);
  if (!CHECK(fake.n_ids + 1 < MAX_BUFFERS)) exit(check_end());
  fake.buffers[++fake.n_ids] = (fake_buffer){calloc(1, (size_t)bytes), (size_t)bytes};
  fake.n_open++;
  return fake.n_ids;
}

static void fake_buffer_close(uint32_t id) {
  if (!CHECK(is_open(id))) return;
  free(fake.buffers[id].data);
  fake.buffers[id].data = NULL;
  fake.n_open--;
}

static void fake_write(uint32_t id, double offset, const void *from, size_t bytes) {
  if (inside(id, offset, bytes)) memcpy(fake.buffers[id].data + (size_t)offset, from, bytes);
}

/* One for each text; its file exists. */
static uint32_t fake_kernel_open(const char *text, size_t length) {
  char path[300];
  if (!CHECK(fake.n_kernels + 1 < MAX_KERNELS && length < sizeof fake.kernels[0])) exit(check_end());
  for (uint32_t i = 1; i <= fake.n_kernels; i++)
    if (strlen(fake.kernels[i]) == length && memcmp(fake.kernels[i], text, length) == 0) return i;
  const uint32_t id = ++fake.n_kernels;
  memcpy(fake.kernels[id], text, length);
  snprintf(path, sizeof path, "src/gpu/wgsl/%.*s.wgsl", (int)strcspn(fake.kernels[id], " "), fake.kernels[id]);
  char *wgsl = read_file(path, NULL);
  fake.reads_ints[id] = wgsl != NULL && strstr(wgsl, "@binding(3)") != NULL;
  free(wgsl);
  return id;
}

static void check_binding(const uint32_t *words) {
  const uint32_t binding = words[0], id = words[1];
  const size_t offset = (size_t)words[2] * GPU_ALIGNMENT;
  CHECK(binding >= BIND_ACT && binding <= BIND_CHOSEN && binding != BIND_INTS);
  if (!CHECK(is_open(id))) return;
  const size_t bytes = words[3] != 0 ? words[3] : fake.buffers[id].bytes - offset;
  CHECK(offset < fake.buffers[id].bytes && bytes <= fake.buffers[id].bytes - offset);
  CHECK(bytes > 0 && bytes % 4 == 0 && bytes <= fake.traits.max_binding_bytes);
}

/* By some kernel, through this binding. */
static bool is_written(uint32_t binding) { return binding == BIND_ACT || binding >= BIND_KEYS; }

static void fake_play(const uint32_t *words, size_t n_words, const int32_t *ints, size_t n_ints) {
  (void)ints;
  size_t at = 0;
  fake.n_plays++;
  fake.n_last = min_size(n_words, sizeof fake.last / sizeof *fake.last);
  fake.n_last_ints = n_ints;
  memcpy(fake.last, words, fake.n_last * sizeof *words);
  while (at + 6 <= n_words) {
    const uint32_t *head = words + at;
    if (head[0] == 0) {
      if (inside(head[1], head[2], head[5]) && inside(head[3], head[4], head[5]) && CHECK(head[1] != head[3]))
        memcpy(fake.buffers[head[3]].data + head[4], fake.buffers[head[1]].data + head[2], head[5]);
      at += 6;
      continue;
    }
    const uint32_t kernel = head[0], n_params = head[4], n_bindings = head[5];
    if (!CHECK(kernel <= fake.n_kernels && n_params <= MAX_PARAM_WORDS)) return;
    const bool ok = CHECK(n_bindings + fake.reads_ints[kernel] <= MAX_STORAGE);
    for (int i = 1; i <= 3; i++) CHECK(head[i] > 0 && head[i] <= MAX_GRID);
    const uint32_t *bindings = head + 6 + n_params;
    at += 6 + n_params + 4 * (size_t)n_bindings;
    if (!CHECK(at <= n_words)) return;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n_bindings; i++) {
      for (uint32_t k = 0; k < n_bindings && is_written(bindings[4 * i]); k++) /* what is written is bound once */
        CHECK(k == i || bindings[4 * k + 1] != bindings[4 * i + 1]);
      CHECK(!(seen >> bindings[4 * i] & 1)); /* each once */
      seen |= 1u << bindings[4 * i];
      check_binding(bindings + 4 * i);
    }
    if (!ok) printf("%s: %u storage bindings\n", fake.kernels[kernel], (unsigned)n_bindings);
    fake.n_dispatches++;
  }
  CHECK(at == n_words);
}

static uint32_t fake_read_open(uint32_t id, double offset, size_t bytes) {
  if (!inside(id, offset, bytes)) return 0;
  if (!CHECK(fake.n_tickets + 1 < MAX_TICKETS)) exit(check_end());
  const uint32_t ticket = ++fake.n_tickets;
  fake.tickets[ticket] = (fake_buffer){malloc(bytes), bytes};
  fake.pending[ticket] = true;
  fake.n_open_tickets++;
  memcpy(fake.tickets[ticket].data, fake.buffers[id].data + (size_t)offset, bytes);
  return ticket;
}

static void fake_read_drop(uint32_t ticket) {
  if (!CHECK(ticket > 0 && ticket <= fake.n_tickets && fake.tickets[ticket].data != NULL)) return;
  free(fake.tickets[ticket].data);
  fake.tickets[ticket].data = NULL;
  fake.n_open_tickets--;
}

static int32_t fake_read_take(uint32_t ticket, void *to) {
  if (!CHECK(ticket > 0 && ticket <= fake.n_tickets && fake.tickets[ticket].data != NULL) || fake.gone) return -1;
  const bool pending = fake.pending[ticket];
  fake.pending[ticket] = false;
  if (pending) return 0;
  memcpy(to, fake.tickets[ticket].data, fake.tickets[ticket].bytes);
  fake_read_drop(ticket);
  return 1;
}

static const gpu_host fake_host = {fake_traits, fake_buffer_open, fake_buffer_close, fake_write,    fake_kernel_open,
                                   fake_play,   fake_read_open,   fake_read_take,    fake_read_drop};

static void fake_open(uint32_t max_binding_bytes) {
  memset(&fake, 0, sizeof fake);
  fake.traits = (gpu_traits){.max_binding_bytes = max_binding_bytes,
                             .max_buffer_bytes = 256 << 20,
                             .max_workgroup_bytes = 16 << 10,
                             .max_invocations = 256};
  gpu_host_now = &fake_host;
}

/* Nothing is left behind. */
static void fake_close(void) {
  CHECK(fake.n_open == 0 && fake.n_open_tickets == 0);
  gpu_host_now = NULL;
}

static gpu *open_backend(void) {
  backend *be;
  error err = {""};
  if (!CHECK(gpu_backend_open(&be, &err) == SOTTO_OK)) exit(check_end());
  return (gpu *)be;
}

/* ---- the backend alone ---- */

static void test_none(void) {
  sotto_engine *engine;
  const sotto_engine_options options = {.n_threads = 1, .backend = SOTTO_BACKEND_WEBGPU};
  backend *be;
  error err = {""};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_ERR_UNSUPPORTED && engine == NULL);
  CHECK(gpu_backend_open(&be, &err) == SOTTO_ERR_UNSUPPORTED && be == NULL && strstr(err.text, "CPU") != NULL);
  fake_open(0); /* a host without a device */
  memset(&fake.traits, 0, sizeof fake.traits);
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_ERR_UNSUPPORTED && engine == NULL);
  fake_close();
  CHECK(sotto_engine_open(&engine, &(sotto_engine_options){.backend = 2}) == SOTTO_ERR_ARGUMENT);
}

static void test_grid(gpu *g, uint32_t n) {
  gpu_kernel(g, "geglu");
  gpu_dispatch(g, n);
  gpu_flush(g);
  const uint64_t groups = (uint64_t)fake.last[1] * fake.last[2];
  CHECK(groups >= n && groups < (uint64_t)n + fake.last[1] && fake.last[3] == 1);
}

static void test_tape(void) {
  fake_open(128 << 20);
  gpu *g = open_backend();
  const uint32_t a = gpu_buffer_new(g, 1000), b = gpu_buffer_new(g, 4096);
  CHECK(gpu_buffer_new(g, (256 << 20) + 1) == 0);
  for (int i = 0; i < 2; i++) {
    gpu_kernel(g, "norm kind=%s add=%d", i ? "rms" : "layer", 2);
    gpu_param(g, 7);
    gpu_param_f32(g, 1.5f);
    gpu_bind(g, BIND_ACT, a, 0, 0);
    gpu_bind(g, BIND_ACT, a, 0, 0); /* of another operand in the same buffer */
    gpu_bind(g, BIND_VEC, b, 512, 1024);
    gpu_dispatch(g, 3);
  }
  gpu_kernel(g, "norm kind=layer add=2");
  gpu_dispatch(g, 0); /* nothing */
  gpu_dispatch_3d(g, 1, 2, 3);
  gpu_copy(g, a, 8, b, 4, 12);
  CHECK(fake.n_plays == 0);
  gpu_flush(g);
  const uint32_t one_half = 0x3fc00000,
                 tape[] = {1, 3,        1, 1, 2, 2, 7, one_half, 1, a,    0, 0, 2, b, 2, 1024, 2, 3, 1, 1, 2, 2,
                           7, one_half, 1, a, 0, 0, 2, b,        2, 1024, 1, 1, 2, 3, 0, 0,    0, a, 8, b, 4, 12};
  CHECK(fake.n_plays == 1 && fake.n_last == sizeof tape / sizeof *tape && memcmp(fake.last, tape, sizeof tape) == 0);
  CHECK(strcmp(fake.kernels[1], "norm kind=layer add=2") == 0 && fake.n_kernels == 2);
  gpu_flush(g);
  CHECK(fake.n_plays == 1); /* there was nothing more */
  const uint32_t grids[] = {1, 65535, 65536, 65537, 131070, 131071, 1000003, 0xfffe0001};
  for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) test_grid(g, grids[i]);

  int32_t values[200];
  for (int32_t i = 0; i < 200; i++) values[i] = i;
  const uint32_t first = gpu_ints(g, values, 200), other = gpu_ints(g, values + 1, 199);
  CHECK(first == 0 && other == 200 && gpu_ints(g, values, 200) == first && gpu_ints(g, values + 1, 199) == other);
  values[150] = -1;
  CHECK(gpu_ints(g, values, 200) == 399);
  for (int32_t i = 0; i < 100; i++) CHECK(gpu_ints(g, &i, 1) == 599 + (uint32_t)i);
  gpu_kernel(g, "geglu");
  gpu_dispatch(g, 1);
  gpu_flush(g);
  CHECK(fake.n_last_ints == 699 && gpu_ints(g, values, 200) == 0); /* of the next tape */

  for (int32_t i = 0; i < 300; i++) { /* more kernels than the table begins with */
    gpu_kernel(g, "geglu i=%d", (int)(i % 150));
    gpu_dispatch(g, 1);
  }
  CHECK(fake.n_kernels == 153);
  gpu_buffer_free(g, a);
  gpu_buffer_free(g, b);
  g->base.ops->close(&g->base);
  fake_close();
}

static void test_memory(void) {
  fake_open(1 << 20);
  gpu *g = open_backend();
  backend *be = &g->base;
  const ops *o = be->ops;
  CHECK(o->buffer_open(be, (1 << 18) + 1) == NULL); /* longer than a binding may be */
  buffer *buf = o->buffer_open(be, 100);
  float values[60];
  for (int i = 0; i < 60; i++) values[i] = (float)i;
  const tensor dense = tensor_matrix(buf, 10, 6, 10);
  tensor columns = dense, windows = dense;
  columns.offset += 3;
  columns.cols = 4;
  windows.stride = 2;
  windows.rows = 5;
  gpu_kernel(g, "geglu");
  gpu_dispatch(g, 1);
  o->upload(be, dense, values);
  CHECK(fake.n_plays == 1); /* what was recorded before the upload is done before */

  CHECK(o->read(be, dense) == NULL && o->read(be, columns) == NULL && o->read(be, windows) == NULL);
  const float *d = o->read(be, dense), *c = o->read(be, columns), *w = o->read(be, windows);
  if (CHECK(d != NULL && c != NULL && w != NULL)) {
    CHECK(memcmp(d, values, sizeof values) == 0);
    for (int i = 0; i < 24; i++) CHECK(c[i] == values[i / 4 * 10 + 3 + i % 4]);
    for (int i = 0; i < 50; i++) CHECK(w[i] == values[i / 10 * 2 + i % 10]);
  }
  CHECK(o->read(be, dense) == d && o->read(be, columns) == c); /* until they change */
  float row[10] = {100};
  o->upload(be, tensor_rows(dense, 5, 1), row); /* in the last row, which the windows do not reach */
  CHECK(o->read(be, windows) == w && o->read(be, dense) == NULL);
  d = o->read(be, dense);
  CHECK(d != NULL && d[50] == 100 && d[49] == 49);

  columns.stride = 5; /* an upload by rows */
  columns.rows = 2;
  o->upload(be, columns, (float[]){1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(o->read(be, dense) == NULL && (d = o->read(be, dense)) != NULL && d[3] == 1 && d[6] == 4 && d[7] == 7 &&
        d[8] == 5);

  o->softcap(be, tensor_rows(dense, 0, 1), 2.0f); /* an operation changes what it writes */
  CHECK(o->read(be, dense) == NULL && o->read(be, tensor_rows(dense, 1, 1)) == NULL);
  uint32_t word;
  CHECK(!gpu_read(g, buf->id, 40, &word, 4)); /* of what no one waits for in the end */
  o->buffer_close(be, buf);
  CHECK(fake.n_open_tickets == 0);
  o->close(be);
  fake_close();
}

/* ---- a Gemma ---- */

static sotto_status step_to_end(sotto_session *s) {
  sotto_status status = SOTTO_AGAIN;
  for (int i = 0; i < 100 && status == SOTTO_AGAIN; i++) status = sotto_session_step(s);
  return status;
}

static void sessions(sotto_model *m, int32_t storage, int32_t all_logits) {
  sotto_session *s, *copy = NULL;
  const sotto_session_options options = {.n_ctx = 40, .n_batch = 12, .kv_type = storage, .all_logits = all_logits};
  if (!CHECK(sotto_session_open(&s, m, &options) == SOTTO_OK)) return;
  int32_t tokens[40];
  for (int32_t i = 0; i < 40; i++) tokens[i] = i * 7 % TINY_N_VOCAB;
  CHECK(sotto_session_sync(s, tokens, 30) == SOTTO_OK && sotto_session_step(s) == SOTTO_AGAIN);
  CHECK(step_to_end(s) == SOTTO_DONE);
  CHECK(sotto_session_n_logits(s) == (all_logits ? 6 : 1));
  for (int32_t i = 0; i < sotto_session_n_logits(s); i++) CHECK(sotto_session_logits(s, i) != NULL);
  for (size_t n = 31; n < 35; n++) CHECK(sotto_session_sync(s, tokens, n) == SOTTO_OK && step_to_end(s) == SOTTO_DONE);

  sotto_status status = SOTTO_AGAIN;
  for (int i = 0; i < 100 && status == SOTTO_AGAIN; i++) status = sotto_session_fork(&copy, s);
  CHECK(status == SOTTO_OK && sotto_session_length(copy) == 34);
  CHECK(sotto_session_sync(copy, tokens, 36) == SOTTO_OK && step_to_end(copy) == SOTTO_DONE);

  size_t n = sotto_session_save_bytes(s);
  uint8_t *bytes = malloc(n);
  status = SOTTO_AGAIN;
  for (int i = 0; i < 100 && status == SOTTO_AGAIN; i++) status = sotto_session_save(s, bytes, n, &n);
  CHECK(status == SOTTO_OK);
  CHECK(sotto_session_restore(copy, bytes, n) == SOTTO_OK && sotto_session_length(copy) == 34);
  CHECK(sotto_session_sync(copy, tokens, 35) == SOTTO_OK && step_to_end(copy) == SOTTO_DONE);
  free(bytes);
  sotto_session_close(copy);
  sotto_session_close(s);
}

static void test_gemma(void) {
  fake_open(128 << 20);
  fake.traits.packed_dot = 1;
  byte_list file = tiny_gemma(1000);
  sotto_engine *engine;
  sotto_model *model;
  const sotto_engine_options options = {.backend = SOTTO_BACKEND_WEBGPU};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_OK && sotto_engine_threads(engine) == 1);
  CHECK(strcmp(sotto_engine_backend(engine), "webgpu") == 0);
  CHECK(sotto_model_open(&model, engine) == SOTTO_OK && sotto_model_feed(model, file.bytes, file.size) == SOTTO_OK);
  if (CHECK(sotto_model_finish(model) == SOTTO_OK)) {
    sessions(model, SOTTO_KV_F16, 0);
    const uint32_t n_open = fake.n_open;
    sessions(model, SOTTO_KV_Q8_0, 1);
    CHECK(fake.n_open == n_open); /* sessions leave nothing behind */

    sotto_session *s;
    const int32_t token = 3;
    CHECK(sotto_session_open(&s, model, NULL) == SOTTO_OK && sotto_session_sync(s, &token, 1) == SOTTO_OK);
    CHECK(sotto_session_step(s) == SOTTO_AGAIN);
    fake.gone = true;
    CHECK(sotto_session_step(s) == SOTTO_ERR_DEVICE && sotto_engine_error(engine)[0] != 0);
    sotto_session_close(s);
  } else {
    printf("%s\n", sotto_engine_error(engine));
  }
  sotto_model_close(model);
  sotto_engine_close(engine);
  byte_list_free(&file);
  printf("gemma: %u dispatches of %u kernels in %u tapes\n", (unsigned)fake.n_dispatches, (unsigned)fake.n_kernels,
         (unsigned)fake.n_plays);
  fake_close();
}

/* ---- a Whisper ---- */

static void await_logits(whisper_state *s, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    const float *logits = whisper_logits(s, i);
    if (logits == NULL) logits = whisper_logits(s, i);
    CHECK(logits != NULL);
  }
}

/* Three sequences become five, which are chosen four times over before the first answer is asked for. The device, which computes nothing, chooses none.
 * parts: of weights, which take more dispatches. */
static void test_beams(gpu *g, whisper_state *s, bool parts) {
  const speech_rules rules = {.end = 50257,
                              .first_time = 50364,
                              .max_first = 50414,
                              .timed = true,
                              .suppressed = (int32_t[]){7},
                              .n_suppressed = 1};
  const speech_draws draws = {.temperature = 0.4f, .at = {0.1f, 0.9f}}; /* every second time */
  const speech_past past[3] = {{1, -1, -1, 0}, {50365, 2, 50365, -1}, {2, 50365, 50365, -2}};
  int32_t places[4], n = 9;
  speech_choice choices[MAX_SPEECH_CHOICES];
  CHECK(whisper_decode_choose(s, &rules, past, -1, 6, NULL) == -1); /* more than there is room for */
  for (int32_t i = 0; i < 4; i++) {
    const uint32_t before = fake.n_dispatches;
    places[i] = whisper_decode_choose(s, &rules, past, i > 0 ? places[i - 1] : -1, 5, i % 2 ? &draws : NULL);
    CHECK(places[i] >= 0 && (i == 0 || places[i] != places[i - 1]));
    CHECK(whisper_decode_follow(s, places[i], 5) == SOTTO_OK);
    gpu_flush(g);
    const uint32_t n_dispatches = fake.n_dispatches - before, around = 2 + 1 + 2; /* the choice, embedding, logits */
    printf("beams: %u dispatches of a layer\n", (unsigned)(n_dispatches - around));
    CHECK(n_dispatches - around <= 8 || parts);
  }
  CHECK(whisper_decode_next(s, (int32_t[]){1}, (int32_t[]){0}, 1) ==
        SOTTO_ERR_ARGUMENT); /* whose table is not known yet */
  CHECK(whisper_decode_chosen(s, places[0], choices, &n) == SOTTO_OK && n == 0);
  CHECK(whisper_decode_follow(s, places[0], 5) == SOTTO_ERR_ARGUMENT); /* it is free now */
  whisper_decode_reset(s);
  CHECK(g->base.places == 0);
}

/* A window of 3 s: what it dispatches fits its smaller buffers. */
static void test_short_window(whisper *w, const float *frames) {
  whisper_state *s = NULL;
  error err = {""};
  CHECK(whisper_state_open(&s, w, 1, 1501, &err) == SOTTO_ERR_ARGUMENT && err.text[0] != 0);
  if (!CHECK(whisper_state_open(&s, w, 1, 150, &err) == SOTTO_OK)) return;
  whisper_encode_begin(s, frames);
  while (whisper_encode(s, NULL) == SOTTO_AGAIN) continue;
  whisper_decode_reset(s);
  CHECK(whisper_decode_prompt(s, (int32_t[]){50258, 50259}, 2, (int32_t[]){1}, 1) == SOTTO_OK);
  await_logits(s, 1);
  whisper_state_close(s);
}

/* max_binding_bytes: a small one, and weights lie in several parts. */
static void test_whisper(uint32_t max_binding_bytes, uint32_t type) {
  static float frames[WHISPER_WINDOW_FRAMES * 80];
  fake_open(max_binding_bytes);
  gpu *g = open_backend();
  ggml_bin_header h = model_shape_small();
  h.n_audio_layer = h.n_text_layer = 1;
  byte_list file = model_random(h, type, 3);
  error err = {""};
  whisper *w = whisper_open(&g->base);
  whisper_state *s = NULL;
  CHECK(whisper_feed(w, file.bytes, file.size, &err) == SOTTO_OK && whisper_finish(w, &err) == SOTTO_OK);
  if (CHECK(whisper_state_open(&s, w, 5, 0, &err) == SOTTO_OK)) {
    whisper_encode_begin(s, frames);
    while (whisper_encode(s, NULL) == SOTTO_AGAIN) continue;
    const int32_t prompt[] = {50258, 50259, 50359, 50363, 400, 401, 402, 403, 404, 405, 406, 407}, want[] = {0, 11};
    whisper_decode_reset(s);
    CHECK(whisper_decode_prompt(s, prompt, 12, want, 2) == SOTTO_OK);
    float p = -1;
    CHECK(whisper_share(s, 50362, &p) == SOTTO_AGAIN && whisper_share(s, 50362, &p) == SOTTO_OK && p == 0);
    CHECK(whisper_some_logits(s, 0, 50259, 99) == NULL && whisper_some_logits(s, 0, 50259, 99) != NULL);
    CHECK(whisper_some_logits(s, 2, 0, 9) == NULL && whisper_some_logits(s, 0, h.n_vocab - 1, 2) == NULL);
    await_logits(s, 2);
    CHECK(whisper_decode_next(s, (int32_t[]){1, 2, 3, 4, 5}, (int32_t[]){0, 0, 0, 0, 0}, 5) == SOTTO_OK);
    await_logits(s, 5);
    CHECK(whisper_decode_next(s, (int32_t[]){1, 2, 3}, (int32_t[]){4, 4, 0}, 3) == SOTTO_OK);
    await_logits(s, 3);
    test_beams(g, s, max_binding_bytes < 128 << 20);
    whisper_decode_reset(s);
    CHECK(whisper_decode_prompt(s, prompt, 1, want, 1) == SOTTO_OK);
    await_logits(s, 1);
  } else {
    printf("%s\n", err.text);
  }
  whisper_state_close(s);
  test_short_window(w, frames);
  whisper_close(w);
  g->base.ops->close(&g->base);
  byte_list_free(&file);
  printf("whisper: %u dispatches of %u kernels in %u tapes\n", (unsigned)fake.n_dispatches, (unsigned)fake.n_kernels,
         (unsigned)fake.n_plays);
  fake_close();
}

int main(void) {
  test_none();
  test_tape();
  test_memory();
  test_gemma();
  test_whisper(20 << 20, DTYPE_F16);
  test_whisper(128 << 20, DTYPE_Q5_1);
  return check_end();
}
