/* sotto bench: how fast a language model is on this machine.
 *
 *     ids, random ─> session: prefill of N in batches ─> decode of N, one by one ─┐
 *                 └──────────────────── rounds ────────────────────────────────────┴─> medians and bests */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "language.h"
#include "process.h"

enum { MOST_ROUNDS = 1000 };

typedef struct bench_request {
  language_options language;
  int32_t n_prefill, n_decode, rounds;
  bool json;
} bench_request;

typedef struct speed {
  double ms[MOST_ROUNDS]; /* [rounds], sorted by the end */
} speed;

typedef struct bench {
  const bench_request *r;
  language l;
  sotto_session *session;
  int32_t *ids; /* [n_prefill + n_decode] */
  uint64_t session_bytes;
  speed prefill, decode;
} bench;

/* ---- measuring ---- */

static uint64_t draw(uint64_t *state) { /* splitmix64 */
  uint64_t x = *state += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/* Evaluates the first n ids; false after a failure, or when interrupted. */
static bool evaluate(const bench *b, int32_t n) {
  sotto_status status = sotto_session_sync(b->session, b->ids, (size_t)n);
  if (status == SOTTO_OK) status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN && !process_interrupted()) status = sotto_session_step(b->session);
  if (status < 0) return language_complain(&b->l);
  return status == SOTTO_DONE;
}

/* One round on ids of its own, so that nothing of the one before is reused. `at` -1: nothing is written down. */
static bool run_round(bench *b, int32_t at, uint64_t *state) {
  const bench_request *r = b->r;
  const uint64_t n_vocab = (uint64_t)b->l.info.n_vocab;
  const int32_t before = b->ids[0];
  for (int32_t i = 0; i < r->n_prefill + r->n_decode; i++) b->ids[i] = (int32_t)(draw(state) % n_vocab);
  if (b->ids[0] == before) b->ids[0] = (before + 1) % (int32_t)n_vocab;
  const double begin_ms = process_now_ms();
  if (r->n_prefill > 0 && !evaluate(b, r->n_prefill)) return false;
  const double middle_ms = process_now_ms();
  for (int32_t i = 1; i <= r->n_decode; i++)
    if (!evaluate(b, r->n_prefill + i)) return false;
  if (at >= 0) {
    b->prefill.ms[at] = middle_ms - begin_ms;
    b->decode.ms[at] = process_now_ms() - middle_ms;
  }
  return true;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool run(bench *b) {
  const bench_request *r = b->r;
  const sotto_session_options options = {.n_ctx = r->n_prefill + r->n_decode, .kv_type = r->language.kv_type};
  b->ids = calloc((size_t)options.n_ctx, sizeof *b->ids);
  if (b->ids == NULL) return fputs("sotto: out of memory\n", stderr), false;
  if (!language_open(&b->l, r->language.model, r->language.threads, false)) return false;
  if (sotto_session_open(&b->session, b->l.model, &options) < 0) return language_complain(&b->l);
  b->session_bytes = sotto_session_bytes(b->l.model, &options);
  uint64_t state = 0;
  for (int32_t i = -1; i < r->rounds; i++) /* the first warms up */
    if (!run_round(b, i, &state)) return false;
  qsort(b->prefill.ms, (size_t)r->rounds, sizeof *b->prefill.ms, by_size);
  qsort(b->decode.ms, (size_t)r->rounds, sizeof *b->decode.ms, by_size);
  return true;
}

/* ---- telling ---- */

static double median_ms(const speed *s, int32_t rounds) { return (s->ms[(rounds - 1) / 2] + s->ms[rounds / 2]) / 2; }
static double rate(int32_t n, double ms) { return ms > 0 ? n / ms * 1e3 : 0; }

static const char *kv_name(const bench_request *r) { return r->language.kv_type == SOTTO_KV_Q8_0 ? "q8_0" : "f16"; }

static void put_json(const bench *b, text *out) {
  const bench_request *r = b->r;
  const sotto_model_info *m = &b->l.info;
  const struct {
    const char *name, *value;
  } texts[] = {{"model", b->l.path},
               {"architecture", m->architecture},
               {"name", m->name},
               {"weight_type", m->weight_type},
               {"isa", sotto_engine_isa(b->l.engine)},
               {"kv", kv_name(r)}};
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"threads", sotto_engine_threads(b->l.engine)},
                 {"rounds", r->rounds},
                 {"n_parameters", (double)m->n_parameters},
                 {"weight_bytes", (double)m->weight_bytes},
                 {"session_bytes", (double)b->session_bytes},
                 {"peak_memory_bytes", process_peak_memory_bytes()},
                 {"load_ms", b->l.load_ms},
                 {"n_prefill", r->n_prefill},
                 {"prefill_ms", median_ms(&b->prefill, r->rounds)},
                 {"prefill_tokens_per_s", rate(r->n_prefill, median_ms(&b->prefill, r->rounds))},
                 {"prefill_tokens_per_s_best", rate(r->n_prefill, b->prefill.ms[0])},
                 {"n_decode", r->n_decode},
                 {"decode_ms", median_ms(&b->decode, r->rounds)},
                 {"decode_tokens_per_s", rate(r->n_decode, median_ms(&b->decode, r->rounds))},
                 {"decode_tokens_per_s_best", rate(r->n_decode, b->decode.ms[0])}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    text_format(out, "%c\"%s\":", i > 0 ? ',' : '{', texts[i].name);
    json_string(out, texts[i].value, strlen(texts[i].value));
  }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(out, ",\"%s\":", numbers[i].name);
    json_number(out, numbers[i].value, 1e3);
  }
  text_string(out, "}\n");
}

static void put_row(text *out, const char *name, int32_t n, const speed *s, int32_t rounds) {
  if (n == 0) return;
  text_format(out, "  %-10s %6d %12.1f %12.1f %12.1f\n", name, (int)n, median_ms(s, rounds),
              rate(n, median_ms(s, rounds)), rate(n, s->ms[0]));
}

static void put_table(const bench *b, text *out) {
  const bench_request *r = b->r;
  const sotto_model_info *m = &b->l.info;
  text_string(out, b->l.path);
  text_format(out, ": %s, %.1f M parameters, %s\n", m->architecture, (double)m->n_parameters / 1e6, m->weight_type);
  text_format(out, "  %s, %d threads, keys and values in %s, %d rounds\n\n", sotto_engine_isa(b->l.engine),
              (int)sotto_engine_threads(b->l.engine), kv_name(r), (int)r->rounds);
  text_format(out, "  %-10s %6s %12s %12s %12s\n", "", "tokens", "median ms", "tokens/s", "at best");
  put_row(out, "prefill", r->n_prefill, &b->prefill, r->rounds);
  put_row(out, "decode", r->n_decode, &b->decode, r->rounds);
  text_format(out, "\n  load %.1f ms; weights %.1f MB, context %.1f MB, peak memory %.1f MB\n", b->l.load_ms,
              (double)m->weight_bytes / 1e6, (double)b->session_bytes / 1e6, process_peak_memory_bytes() / 1e6);
}

static bool print(const bench *b) {
  text out = {0};
  (b->r->json ? put_json : put_table)(b, &out);
  const bool ok = !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
  text_free(&out);
  return ok;
}

/* ---- the command ---- */

static const char help[] =
    "Usage: sotto bench -m MODEL [OPTION]...\n"
    "Measures how fast a language model reads (prefill) and writes (decode) on this machine.\n"
    "\n"
    "  -m, --model MODEL       GGUF file (of a split one, any part), or folder as on Hugging Face; by default\n"
    "                          what SOTTO_LANGUAGE_MODEL says, else the small story teller that comes with sotto\n"
    "      --prefill N         tokens read at once (default: 128)\n"
    "      --decode N          tokens evaluated one by one after them (default: 64)\n"
    "      --rounds N          rounds after one that warms up (default: 5)\n" LANGUAGE_KV_HELP LANGUAGE_THREADS_HELP
    "      --json              one line of JSON\n"
    "  -h, --help              this help\n"
    "\n"
    "The tokens are random, the same ones each time; choosing tokens is not part of it.\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n";

enum { HELP = 1, PREFILL, DECODE, ROUNDS, JSON };

static const option_spec options[] = {
    LANGUAGE_MODEL_OPTION,         LANGUAGE_THREADS_OPTION,     LANGUAGE_KV_OPTION,
    {"prefill", 0, true, PREFILL}, {"decode", 0, true, DECODE}, {"rounds", 0, true, ROUNDS},
    {"json", 0, false, JSON},      {"help", 'h', false, HELP},  {NULL, 0, false, 0}};

static bool read_count(const args *a, int64_t low, int64_t high, int32_t *out) {
  int64_t n;
  if (!args_integer(a, low, high, &n)) return false;
  *out = (int32_t)n;
  return true;
}

/* 1: go on; ARGS_END: nothing is left to do. */
static int read_request(bench_request *r, char **argv) {
  *r = (bench_request){.n_prefill = 128, .n_decode = 64, .rounds = 5};
  args a = {.command = "bench ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool taken, ok = true;
    if (id == ARGS_WRONG || !language_option(&r->language, &a, id, &taken)) return ARGS_WRONG;
    if (taken) continue;
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return ARGS_END;
      case PREFILL:
        ok = read_count(&a, 0, 1 << 24, &r->n_prefill);
        break;
      case DECODE:
        ok = read_count(&a, 0, 1 << 24, &r->n_decode);
        break;
      case ROUNDS:
        ok = read_count(&a, 1, MOST_ROUNDS, &r->rounds);
        break;
      case JSON:
        r->json = true;
        break;
      default:
        return args_wrong(&a, "unexpected argument '%s'", a.value);
    }
    if (!ok) return ARGS_WRONG;
  }
  if (r->n_prefill + r->n_decode == 0)
    return args_wrong(&a, "there is nothing to measure: --prefill and --decode are 0");
  return language_default_model(&r->language, &a);
}

int command_bench(char **argv) {
  bench_request r;
  const int read = read_request(&r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  process_catch_interrupts();
  bench *b = calloc(1, sizeof *b);
  if (b == NULL) return fputs("sotto: out of memory\n", stderr), EXIT_FAILED;
  b->r = &r;
  const bool ok = run(b) && print(b);
  sotto_session_close(b->session);
  language_close(&b->l);
  free(b->ids);
  free(b);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}
