/* Quantizers: checksums of what comes of the golden checkpoints and of the small model, which are the same natively and in WebAssembly; ranges and rows cut at
 * awkward places; patterns, importances and warnings; what is refused, and in which words. */
#include "../../src/base/sha256.h"
#include "check.h"
#include "make_model.h"

enum { MAX_FILES = 4 };

typedef struct source {
  const char *name;
  char *bytes;
  size_t size;
} source;

typedef struct job {
  sotto_quantize_options options;
  source files[MAX_FILES];
  size_t cut;   /* bytes given at a time; 0: as wanted */
  int64_t rows; /* converted at a time; 0: all */
} job;

typedef struct result {
  sotto_status status;
  char *bytes; /* the output; free it */
  size_t size;
  char hash[17]; /* the first 16 digits of its SHA-256 */
  char warnings[512];
  char why[512];
  int32_t wants; /* how often the plan asked */
} result;

static sotto_engine *engine;

/* ---- running a job ---- */

static sotto_status make_plan(const job *j, sotto_quantizer *q, result *r) {
  for (size_t i = 0; i < MAX_FILES && j->files[i].name != NULL; i++) {
    const int32_t index = sotto_quantizer_file(q, j->files[i].name, j->files[i].size);
    if (index < 0) return (sotto_status)index;
    CHECK(index == (int32_t)i);
  }
  int32_t file;
  uint64_t offset, bytes;
  sotto_status status;
  while ((status = sotto_quantizer_wants(q, &file, &offset, &bytes)) == SOTTO_AGAIN) {
    if (!CHECK(file >= 0 && file < MAX_FILES && bytes > 0 && bytes <= j->files[file].size &&
               offset <= j->files[file].size - bytes))
      return SOTTO_ERR_ARGUMENT;
    const size_t n = j->cut > 0 && j->cut < bytes ? j->cut : (size_t)bytes;
    char *copy = malloc(n); /* exact, so that the sanitizer sees what is read behind it */
    memcpy(copy, j->files[file].bytes + offset, n);
    status = sotto_quantizer_give(q, file, offset, copy, n);
    free(copy);
    r->wants++;
    if (status < 0) return status;
  }
  return status;
}

static sotto_status convert(const job *j, sotto_quantizer *q, result *r, uint8_t *covered) {
  sotto_quantize_tensor t;
  for (int32_t i = 0; sotto_quantizer_tensor(q, i, &t); i++) {
    const uint64_t in = t.bytes / (uint64_t)t.rows, out = t.out_bytes / (uint64_t)t.rows;
    const int64_t step = j->rows > 0 ? j->rows : t.rows;
    if (!CHECK(t.offset + t.bytes <= j->files[t.file].size && t.out_offset + t.out_bytes <= r->size))
      return SOTTO_ERR_FORMAT;
    for (int64_t row = 0; row < t.rows; row += step) {
      const int64_t n = t.rows - row < step ? t.rows - row : step;
      const sotto_status status =
          sotto_quantizer_rows(q, i, row, n, j->files[t.file].bytes + t.offset + (uint64_t)row * in,
                               r->bytes + t.out_offset + (uint64_t)row * out);
      if (status < 0) return status;
    }
    for (uint64_t b = 0; b < t.out_bytes; b++) covered[t.out_offset + b]++;
  }
  return SOTTO_OK;
}

static sotto_status run_plan(const job *j, sotto_quantizer *q, result *r) {
  const sotto_status status = make_plan(j, q, r);
  if (status < 0) return status;
  sotto_quantize_info info;
  sotto_quantizer_describe(q, &info);
  r->size = (size_t)info.out_bytes;
  r->bytes = malloc(r->size);
  uint8_t *covered = calloc(r->size, 1);
  for (int32_t i = 0; i < info.n_pieces; i++) {
    uint64_t at;
    size_t n;
    const void *bytes = sotto_quantizer_piece(q, i, &at, &n);
    if (!CHECK(bytes != NULL && at + n <= r->size)) continue;
    memcpy(r->bytes + at, bytes, n);
    for (size_t b = 0; b < n; b++) covered[at + b]++;
  }
  const sotto_status done = convert(j, q, r, covered);
  size_t wrong = 0;
  for (size_t b = 0; b < r->size && done == SOTTO_OK; b++) wrong += covered[b] != 1;
  CHECK(wrong == 0); /* pieces and tensors are the whole file, without overlaps */
  for (int32_t i = 0; i < info.n_warnings; i++) {
    const size_t used = strlen(r->warnings);
    snprintf(r->warnings + used, sizeof r->warnings - used, "%s", sotto_quantizer_warning(q, i));
  }
  CHECK(sotto_quantizer_warning(q, info.n_warnings) == NULL &&
        sotto_quantizer_piece(q, info.n_pieces, NULL, NULL) == NULL);
  free(covered);
  return done;
}

static result run(const job *j) {
  result r = {SOTTO_OK, NULL, 0, "", "", "", 0};
  sotto_quantizer *q = NULL;
  r.status = sotto_quantizer_open(&q, engine, &j->options);
  if (r.status >= 0) r.status = run_plan(j, q, &r);
  if (r.status < 0) snprintf(r.why, sizeof r.why, "%s", sotto_engine_error(engine));
  sotto_quantizer_close(q);
  uint8_t digest[32];
  sha256 h;
  sha256_begin(&h);
  if (r.bytes != NULL) sha256_add(&h, r.bytes, r.size);
  sha256_end(&h, digest);
  for (int i = 0; i < 8; i++) snprintf(r.hash + 2 * i, 3, "%02x", digest[i]);
  return r;
}

/* Runs it, checks the checksum, and forgets the output. */
static void check_hash(const char *what, const job *j, const char *hash) {
  result r = run(j);
  if (!CHECK(r.status == SOTTO_OK && strcmp(r.hash, hash) == 0)) printf("%s: %s %s\n", what, r.hash, r.why);
  free(r.bytes);
}

static void check_refused(const char *what, const job *j, sotto_status status, const char *words) {
  result r = run(j);
  if (!CHECK(r.status == status && strstr(r.why, words) != NULL)) printf("%s: %d %s\n", what, (int)r.status, r.why);
  free(r.bytes);
}

static job of_folder(const char *folder, const char *type) {
  static char config[128], weights[128];
  job j = {.options = {.type = type, .name = "golden"}};
  snprintf(config, sizeof config, "tests/fixtures/golden/%s/config.json", folder);
  snprintf(weights, sizeof weights, "tests/fixtures/golden/%s/model.safetensors", folder);
  j.files[0] = (source){.name = "config.json"};
  j.files[0].bytes = read_file(config, &j.files[0].size);
  j.files[1] = (source){.name = "model.safetensors"};
  j.files[1].bytes = read_file(weights, &j.files[1].size);
  return j;
}

static void free_files(job *j) {
  for (size_t i = 0; i < MAX_FILES; i++) free(j->files[i].bytes);
}

/* ---- checksums ---- */

static void check_golden(void) {
  static const struct {
    const char *folder, *type, *hash;
  } pinned[] = {
      {"gemma3-1b-shape", "f32", "2893c6e1ed74ab52"},    {"gemma3-1b-shape", "f16", "b520fddd482a1ac4"},
      {"gemma3-1b-shape", "bf16", "738db3e0b54daa7b"},   {"gemma3-1b-shape", "q8_0", "82aec248404a0dd9"},
      {"gemma3-1b-shape", "q5_1", "0f99e220e10b734e"},   {"gemma3-1b-shape", "q5_0", "e330ce2b1ee65850"},
      {"gemma3-1b-shape", "q4_1", "bb0941c33e70459a"},   {"gemma3-1b-shape", "q4_0", "863bef0fe8b2352d"},
      {"gemma3-1b-shape", "q4_K_M", "9f8bde09d759e3a3"}, {"gemma3-1b-shape", "iq4_nl", "63cf919d3c3d9375"},
      {"gemma1-2b-shape", "q4_0", "961cdf67da7783b1"},   {"gemma2-2b-shape", "q4_K_S", "002f5c53eac14153"},
      {"gemma3-4b-shape", "q5_K_M", "8d8a3ffb640bbe97"},
  };
  for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
    job j = of_folder(pinned[i].folder, pinned[i].type);
    if (CHECK(j.files[0].bytes != NULL && j.files[1].bytes != NULL)) check_hash(pinned[i].type, &j, pinned[i].hash);
    free_files(&j);
  }
}

/* The small model that comes with sotto, in q8_0: its rows are of 256, so that these are true k-quants. */
static void check_requantized(void) {
  static const struct {
    const char *type, *hash;
    int32_t fast;
  } pinned[] = {{"q4_K_M", "4d3ad72913782ad7", 0},
                {"q5_K_S", "23cb4f7372a8ac31", 0},
                {"q6_K", "3c4a7919ef63c1ac", 1},
                {"q3_K", "6f47a287f11d311d", 0}};
  job j = {.files = {{.name = "teller.gguf"}}};
  j.files[0].bytes = read_file("assets/teller-q8_0.gguf", &j.files[0].size);
  if (j.files[0].bytes == NULL) {
    skip("assets/teller-q8_0.gguf is not here");
    return;
  }
  for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
    j.options = (sotto_quantize_options){.type = pinned[i].type, .fast = pinned[i].fast};
    check_hash(pinned[i].type, &j, pinned[i].hash);
  }
  j.options = (sotto_quantize_options){.type = "Q8_0"}; /* all stays as it is */
  result r = run(&j);
  CHECK(r.status == SOTTO_OK && r.size == j.files[0].size && r.warnings[0] == '\0');
  CHECK(r.size > 1 << 20 && memcmp(r.bytes + r.size - (1 << 20), j.files[0].bytes + r.size - (1 << 20), 1 << 20) == 0);
  free(r.bytes);
  free_files(&j);
}

/* ---- cuts ---- */

static void check_cuts(void) {
  static const size_t cuts[] = {1, 7, 8, 9, 4095};
  job j = of_folder("gemma3-1b-shape", "q4_1");
  result whole = run(&j);
  CHECK(whole.status == SOTTO_OK && strstr(whole.warnings, "no tokenizer") != NULL);
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    j.cut = cuts[i];
    j.rows = (int64_t)i + 1;
    check_hash("cut", &j, whole.hash);
  }
  /* A GGUF file as the source: the head is looked for in pieces, and the output of the output is the same. */
  job again = {.options = {.type = "q4_1"}, .files = {{"x.gguf", whole.bytes, whole.size}}};
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    again.cut = cuts[i] * 11;
    again.rows = (int64_t)i + 1;
    result r = run(&again);
    CHECK(r.status == SOTTO_OK && r.size == whole.size);
    CHECK(r.bytes != NULL && memcmp(r.bytes + r.size / 2, whole.bytes + r.size / 2, r.size - r.size / 2) == 0);
    free(r.bytes);
  }
  free(whole.bytes);
  free_files(&j);
}

/* ---- choices ---- */

static void check_choices(void) {
  const sotto_quantize_override wishes[] = {
      {"*ffn_down*", "q8_0"}, {"blk.?.attn_q.weight", "f16"}, {"nothing.*", "q4_0"}};
  job j = of_folder("gemma3-1b-shape", "q4_0");
  sotto_quantizer *q = NULL;
  result r = {SOTTO_OK, NULL, 0, "", "", "", 0};
  j.options.overrides = wishes;
  j.options.n_overrides = 3;
  CHECK(sotto_quantizer_open(&q, engine, &j.options) == SOTTO_OK && run_plan(&j, q, &r) == SOTTO_OK);
  CHECK(strstr(r.warnings, "nothing.*") != NULL);
  sotto_quantize_tensor t;
  int n_down = 0, n_query = 0, n_norm = 0;
  for (int32_t i = 0; sotto_quantizer_tensor(q, i, &t); i++) {
    const bool down = strstr(t.name, "ffn_down") != NULL, query = strstr(t.name, "attn_q.") != NULL;
    n_down += down && strcmp(t.type, "q8_0") == 0 && t.plain;
    n_query += query && strcmp(t.type, "f16") == 0;
    n_norm += strstr(t.name, "norm") != NULL && strcmp(t.type, "f32") == 0 && !t.plain;
    CHECK(down || query || strstr(t.name, "norm") != NULL || strcmp(t.type, "q4_0") == 0 ||
          strcmp(t.type, "q8_0") == 0);
    CHECK(strcmp(t.source_type, "bf16") == 0 && t.importance == NULL);
  }
  CHECK(n_down == n_query && n_down > 0 && n_norm > n_down);
  CHECK(sotto_quantizer_rows(q, 0, 0, 1 << 30, "", r.bytes) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_quantizer_rows(q, 10000, 0, 1, "", r.bytes) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_quantizer_file(q, "late.json", 3) == SOTTO_ERR_ARGUMENT);
  sotto_quantizer_close(q);
  free(r.bytes);
  free_files(&j);
  const char *name;
  double bits = 0;
  int32_t n = 0;
  for (; sotto_quantize_type(n, &name, &bits); n++) {
    CHECK(name[0] != '\0' && bits >= 2 && bits <= 32);
    if (strcmp(name, "q4_K_M") == 0) CHECK(bits == 4.5);
  }
  CHECK(n > 12);
}

/* ---- what is refused ---- */

static void check_errors(void) {
  job j = of_folder("gemma3-1b-shape", "q9_9");
  check_refused("type", &j, SOTTO_ERR_ARGUMENT, "unknown type 'q9_9'");
  j.options.type = "q4_0";
  j.options.overrides = &(sotto_quantize_override){"*", "q4_K_M"};
  j.options.n_overrides = 1;
  check_refused("mix for a tensor", &j, SOTTO_ERR_ARGUMENT, "plain type");
  j.options.overrides = NULL;
  check_refused("no patterns", &j, SOTTO_ERR_ARGUMENT, "none given");
  j.options.n_overrides = 0;
  j.options.imatrix = "GGUF but no more";
  j.options.imatrix_bytes = 16;
  check_refused("importances", &j, SOTTO_ERR_FORMAT, "");
  j.options.imatrix = NULL;

  job some = j;
  some.files[0].name = "model.bin.index"; /* no config.json */
  check_refused("no config", &some, SOTTO_ERR_ARGUMENT, "config.json");
  some = j;
  some.files[1].name = "weights.txt";
  check_refused("no weights", &some, SOTTO_ERR_ARGUMENT, "no weights");
  some = j;
  some.files[1].size -= 100;
  check_refused("truncated", &some, SOTTO_ERR_FORMAT, "truncated");
  some.files[1].size = 5;
  check_refused("short", &some, SOTTO_ERR_FORMAT, "");
  some = j;
  some.files[1].name = "config.json";
  check_refused("twice", &some, SOTTO_ERR_ARGUMENT, "twice");

  /* A value that is no number, in the last tensor of the file. */
  const uint16_t nan = 0x7fc0;
  memcpy(j.files[1].bytes + j.files[1].size - 2, &nan, 2);
  check_refused("NaN", &j, SOTTO_ERR_FORMAT, "no number");
  const uint16_t huge = 0x4f00;                                        /* 2^31 */
  memcpy(j.files[1].bytes + 8 + load_u64(j.files[1].bytes), &huge, 2); /* in the first one, the embedding */
  check_refused("too large", &j, SOTTO_ERR_FORMAT, "too large");
  free_files(&j);

  j = (job){.options = {0}, .files = {{"x.gguf", (char *)"GGUF", 4}}};
  check_refused("GGUF", &j, SOTTO_ERR_FORMAT, "truncated");
  j.files[0] = (source){"x.bin", (char *)"lmgg", 4};
  check_refused("bin", &j, SOTTO_ERR_FORMAT, "truncated");
  j.files[0] = (source){"x.bin", (char *)"", 0};
  check_refused("empty", &j, SOTTO_ERR_FORMAT, "empty");
  j.files[0] = (source){"readme.md", (char *)"#", 1};
  check_refused("nothing", &j, SOTTO_ERR_ARGUMENT, "no model among the files");
}

int main(void) {
  if (!CHECK(sotto_engine_open(&engine, &(sotto_engine_options){.n_threads = 2}) == SOTTO_OK)) return check_end();
  check_golden();
  check_requantized();
  check_cuts();
  check_choices();
  check_errors();
  sotto_engine_close(engine);
  return check_end();
}
