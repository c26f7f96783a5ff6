/* sotto generate: a language model goes on with a text, or answers it.
 *
 *     prompt ─> ids ─> prefill ─> logits ─> sampler ─> token ─> text_stream: whole characters, no stop string ─> standard output
 *                                   └────── decode ──────┘ */
#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/text/text_stream.h"
#include "args.h"
#include "commands.h"
#include "input.h"
#include "language.h"
#include "process.h"

typedef struct generate_request {
  const char *model, *prompt, *file, *system;
  bool chat, json, timings;
  int64_t n;              /* most tokens to write */
  int32_t n_ctx, threads; /* 0: the default */
  sotto_sampler_options sampling;
  const char *stops[TEXT_STREAM_MAX_STOPS];
  size_t n_stops;
} generate_request;

typedef struct generation {
  const generate_request *r;
  language l;
  sotto_session *session;
  sotto_sampler *sampler;
  text_stream *stream;
  int32_t *ids; /* [capacity + 1]: the prompt, then what is written */
  size_t n_prompt, n_ids;
  text written;
  const char *stop_reason;
  double prefill_ms, decode_ms;
  int32_t n_decode; /* tokens evaluated one by one */
} generation;

/* ---- the prompt ---- */

static sotto_status tokenize(generation *g, const text *prompt, size_t capacity, size_t *n) {
  const generate_request *r = g->r;
  if (!r->chat)
    return sotto_tokenize(g->l.model, prompt->data, prompt->size, SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL, g->ids, capacity,
                          n);
  const sotto_turn turns[2] = {{SOTTO_SYSTEM, r->system, r->system != NULL ? strlen(r->system) : 0},
                               {SOTTO_USER, prompt->data, prompt->size}};
  const size_t first = r->system == NULL;
  return sotto_chat_tokens(g->l.model, turns + first, 2 - first, g->ids, capacity, n);
}

static bool make_prompt(generation *g) {
  const generate_request *r = g->r;
  text prompt = {0};
  bool ok = true;
  if (r->prompt != NULL) {
    text_string(&prompt, r->prompt);
  } else {
    ok = input_read(&prompt, r->file != NULL ? r->file : "-");
    if (prompt.size > 0 && prompt.data[prompt.size - 1] == '\n') prompt.size--; /* the end of a line, not of the text */
  }
  size_t n = 0;
  if (ok && tokenize(g, &prompt, 0, &n) < 0) ok = language_complain(&g->l);
  if (ok) {
    const size_t capacity = (size_t)sotto_session_capacity(g->session);
    g->ids = malloc(((n > capacity ? n : capacity) + 1) * sizeof *g->ids);
    if (prompt.failed || g->ids == NULL || tokenize(g, &prompt, n, &g->n_prompt) < 0) {
      fputs("sotto: out of memory\n", stderr);
      ok = false;
    }
  }
  g->n_ids = g->n_prompt;
  text_free(&prompt);
  return ok;
}

/* ---- writing ---- */

/* Shows text that is final. */
static bool show(generation *g, const char *bytes, size_t n) {
  if (n == 0) return true;
  text_bytes(&g->written, bytes, n);
  return g->r->json || (fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0);
}

static bool show_token(generation *g, int32_t id) {
  size_t bytes, n;
  const char *piece = sotto_token_piece(g->l.model, id, 0, &bytes), *shown;
  error err = {.text = ""};
  if (text_stream_push(g->stream, piece, bytes, &shown, &n, &err) == SOTTO_OK) return show(g, shown, n);
  fprintf(stderr, "sotto: %s\n", err.text);
  return false;
}

static bool show_rest(generation *g) {
  size_t n;
  const char *shown;
  error err = {.text = ""};
  if (text_stream_finish(g->stream, &shown, &n, &err) == SOTTO_OK) return show(g, shown, n);
  fprintf(stderr, "sotto: %s\n", err.text);
  return false;
}

/* Brings the session up to the ids; false after a failure. An interrupt leaves it where it is. */
static bool evaluate(generation *g) {
  sotto_status status = sotto_session_sync(g->session, g->ids, g->n_ids);
  if (status == SOTTO_OK) status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN && !process_interrupted()) status = sotto_session_step(g->session);
  return status >= 0 || language_complain(&g->l);
}

/* Writes until something ends it. */
static bool write_text(generation *g) {
  const size_t capacity = (size_t)sotto_session_capacity(g->session);
  double begin_ms = process_now_ms();
  for (size_t i = 0; i < g->n_prompt; i++) sotto_sampler_accept(g->sampler, g->ids[i]);
  if (!evaluate(g)) return false;
  g->prefill_ms = process_now_ms() - begin_ms;
  begin_ms = process_now_ms();
  if (g->r->n == 0) g->stop_reason = "length";
  while (g->stop_reason == NULL) {
    int32_t id;
    if (process_interrupted()) break;
    if (sotto_sampler_sample(g->sampler, sotto_session_logits(g->session, 0), &id, NULL) < 0)
      return language_complain(&g->l);
    sotto_sampler_accept(g->sampler, id);
    g->ids[g->n_ids++] = id;
    if (sotto_token_ends(g->l.model, id)) {
      g->stop_reason = "end";
      break;
    }
    if (!show_token(g, id)) return false;
    if (text_stream_stopped(g->stream) >= 0) {
      g->stop_reason = "stop";
    } else if ((int64_t)(g->n_ids - g->n_prompt) >= g->r->n) {
      g->stop_reason = "length";
    } else if (g->n_ids > capacity) {
      g->stop_reason = "context";
    } else {
      if (!evaluate(g)) return false;
      g->n_decode++;
    }
  }
  g->decode_ms = process_now_ms() - begin_ms;
  if (g->stop_reason == NULL) g->stop_reason = "interrupted";
  return show_rest(g);
}

/* ---- what is printed at the end ---- */

static void put_ids(text *out, const char *name, const int32_t *ids, size_t n) {
  text_format(out, ",\"%s\":[", name);
  for (size_t i = 0; i < n; i++) text_format(out, "%s%d", i > 0 ? "," : "", (int)ids[i]);
  text_string(out, "]");
}

static bool print_json(const generation *g) {
  text out = {0};
  text_string(&out, "{\"text\":");
  json_string(&out, g->written.data, g->written.size);
  put_ids(&out, "prompt_tokens", g->ids, g->n_prompt);
  put_ids(&out, "tokens", g->ids + g->n_prompt, g->n_ids - g->n_prompt);
  text_format(&out, ",\"stop_reason\":\"%s\",\"timings\":{\"load_ms\":", g->stop_reason);
  json_number(&out, g->l.load_ms, 1e3);
  text_string(&out, ",\"prefill_ms\":");
  json_number(&out, g->prefill_ms, 1e3);
  text_format(&out, ",\"n_prefill\":%zu,\"decode_ms\":", g->n_prompt);
  json_number(&out, g->decode_ms, 1e3);
  text_format(&out, ",\"n_decode\":%d},\"peak_memory_bytes\":", (int)g->n_decode);
  json_number(&out, process_peak_memory_bytes(), 1);
  text_string(&out, "}\n");
  bool ok = !out.failed && !g->written.failed;
  if (!ok) fputs("sotto: out of memory\n", stderr);
  ok = ok && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
  text_free(&out);
  return ok;
}

static bool finish(const generation *g) {
  bool ok = g->r->json ? print_json(g) : putchar('\n') != EOF && fflush(stdout) == 0;
  if (g->r->timings) {
    const double prefill_s = g->prefill_ms / 1e3, decode_s = g->decode_ms / 1e3;
    fprintf(stderr,
            "load %.0f ms; prompt %zu tokens, %.0f ms (%.1f a second); written %d tokens, %.0f ms (%.1f a second); %s; "
            "peak memory %.1f MB\n",
            g->l.load_ms, g->n_prompt, g->prefill_ms, prefill_s > 0 ? (double)g->n_prompt / prefill_s : 0,
            (int)(g->n_ids - g->n_prompt), g->decode_ms, decode_s > 0 ? g->n_decode / decode_s : 0, g->stop_reason,
            process_peak_memory_bytes() / 1e6);
  }
  return ok;
}

static bool generate(generation *g) {
  const generate_request *r = g->r;
  if (!language_open(&g->l, r->model, r->threads, false)) return false;
  const sotto_session_options options = {.n_ctx = r->n_ctx};
  if (sotto_session_open(&g->session, g->l.model, &options) < 0 ||
      sotto_sampler_open(&g->sampler, g->l.model, &r->sampling) < 0)
    return language_complain(&g->l);
  return make_prompt(g) && write_text(g) && finish(g);
}

/* ---- the command ---- */

enum {
  HELP = 1,
  MODEL,
  PROMPT,
  INPUT,
  CHAT,
  SYSTEM,
  LENGTH,
  TEMPERATURE,
  TOP_K,
  TOP_P,
  MIN_P,
  REPETITION_PENALTY,
  STOP,
  SEED,
  CONTEXT,
  THREADS,
  JSON,
  TIMINGS
};

static const option_spec options[] = {{"model", 'm', true, MODEL},
                                      {"prompt", 'p', true, PROMPT},
                                      {"file", 'f', true, INPUT},
                                      {"chat", 0, false, CHAT},
                                      {"system", 0, true, SYSTEM},
                                      {"tokens", 'n', true, LENGTH},
                                      {"temperature", 0, true, TEMPERATURE},
                                      {"top-k", 0, true, TOP_K},
                                      {"top-p", 0, true, TOP_P},
                                      {"min-p", 0, true, MIN_P},
                                      {"repetition-penalty", 0, true, REPETITION_PENALTY},
                                      {"stop", 0, true, STOP},
                                      {"seed", 0, true, SEED},
                                      {"ctx", 0, true, CONTEXT},
                                      {"threads", 't', true, THREADS},
                                      {"json", 0, false, JSON},
                                      {"timings", 0, false, TIMINGS},
                                      {"help", 'h', false, HELP},
                                      {NULL, 0, false, 0}};

static const char help[] =
    "Usage: sotto generate -m MODEL [OPTION]... [-p TEXT | -f FILE]\n"
    "Goes on with a text, or answers it, with a language model (Gemma 1, 2, 3).\n"
    "\n"
    "  -m, --model MODEL       GGUF file (of a split one, any part), or folder as on Hugging Face\n"
    "  -p, --prompt TEXT       the text\n"
    "  -f, --file FILE         the text in a file (default: -, standard input)\n"
    "      --chat              the text is a message, and the model answers it\n"
    "      --system TEXT       what the model is told before the message; with --chat\n"
    "  -n, --tokens N          most tokens to write (default: as many as the context takes)\n"
    "      --stop STRING       end before this string; can be given several times\n"
    "      --ctx N             tokens of prompt and answer together (default: 4096, or what the\n"
    "                          model was trained for, if that is less)\n"
    "  -t, --threads N         threads to use (default: one for each core, at most 8)\n"
    "      --json              one line of JSON, with tokens, timings and memory\n"
    "      --timings           how long each part took, on standard error\n"
    "\n"
    "Sampling\n"
    "      --temperature F     0: always the likeliest token (default: 1)\n"
    "      --top-k N           among the N likeliest tokens; 0: all (default: 64)\n"
    "      --top-p F           among the likeliest with this much probability together (0.95)\n"
    "      --min-p F           among those with this share of the likeliest one's probability (0)\n"
    "      --repetition-penalty F  divides logits of the last 256 tokens (default: 1, none)\n"
    "      --seed N            the same seed, the same text (default: 0)\n"
    "  -h, --help              this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n";

static bool read_option(generate_request *r, const args *a, int id) {
  int64_t n = 0;
  sotto_sampler_options *s = &r->sampling;
  switch (id) {
    case MODEL:
      r->model = a->value;
      return true;
    case PROMPT:
      r->prompt = a->value;
      return true;
    case INPUT:
      r->file = a->value;
      return true;
    case CHAT:
      r->chat = true;
      return true;
    case SYSTEM:
      r->system = a->value;
      return true;
    case LENGTH:
      return args_integer(a, 0, INT32_MAX, &r->n);
    case TEMPERATURE:
      return args_number(a, 0, 100, &s->temperature);
    case TOP_K:
      if (!args_integer(a, 0, INT32_MAX, &n)) return false;
      s->top_k = (int32_t)n;
      return true;
    case TOP_P:
      return args_number(a, 0.0001, 1, &s->top_p);
    case MIN_P:
      return args_number(a, 0, 1, &s->min_p);
    case REPETITION_PENALTY:
      return args_number(a, 0.01, 100, &s->repetition_penalty);
    case STOP:
      if (a->value[0] == '\0') return args_wrong(a, "option '--stop' needs a string that is not empty"), false;
      if (strlen(a->value) > TEXT_STREAM_MAX_STOP_BYTES || r->n_stops == TEXT_STREAM_MAX_STOPS)
        return args_wrong(a, "at most %d stop strings of %d bytes each can be given", TEXT_STREAM_MAX_STOPS,
                          TEXT_STREAM_MAX_STOP_BYTES),
               false;
      r->stops[r->n_stops++] = a->value;
      return true;
    case SEED:
      if (!args_integer(a, 0, INT64_MAX, &n)) return false;
      s->seed = (uint64_t)n;
      return true;
    case CONTEXT:
      if (!args_integer(a, 1, INT32_MAX, &n)) return false;
      r->n_ctx = (int32_t)n;
      return true;
    case THREADS:
      if (!args_integer(a, 1, 64, &n)) return false;
      r->threads = (int32_t)n;
      return true;
    case JSON:
      r->json = true;
      return true;
    default:
      r->timings = true;
      return true; /* TIMINGS */
  }
}

/* 1: go on; ARGS_END: nothing is left to do. */
static int read_request(generate_request *r, char **argv) {
  *r = (generate_request){.n = INT32_MAX};
  sotto_sampler_options_default(&r->sampling);
  args a = {.command = "generate ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    if (id == ARGS_WRONG) return ARGS_WRONG;
    if (id == HELP) {
      fputs(help, stdout);
      return ARGS_END;
    }
    if (id == ARGS_OPERAND) return args_wrong(&a, "unexpected argument '%s': text is given with --prompt", a.value);
    if (!read_option(r, &a, id)) return ARGS_WRONG;
  }
  if (r->model == NULL) return args_wrong(&a, "no model: give one with --model");
  if (r->prompt != NULL && r->file != NULL) return args_wrong(&a, "--prompt and --file exclude each other");
  if (r->system != NULL && !r->chat) return args_wrong(&a, "--system goes with --chat");
  return 1;
}

int command_generate(char **argv) {
  generate_request r;
  const int read = read_request(&r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  process_catch_interrupts();
  generation g = {.r = &r};
  size_t bytes[TEXT_STREAM_MAX_STOPS];
  for (size_t i = 0; i < r.n_stops; i++) bytes[i] = strlen(r.stops[i]);
  error err = {.text = ""};
  bool ok = text_stream_open(&g.stream, r.stops, bytes, r.n_stops, &err) == SOTTO_OK;
  if (!ok) fprintf(stderr, "sotto: %s\n", err.text);
  ok = ok && generate(&g);
  text_stream_close(g.stream);
  sotto_sampler_close(g.sampler);
  sotto_session_close(g.session);
  language_close(&g.l);
  free(g.ids);
  text_free(&g.written);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}
