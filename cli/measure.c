/* What a model makes of given tokens, for checking it against others.
 *
 *     ids [n] ─> session with all logits ─> rows [n_vocab] ─┬─> logits: an array [n, n_vocab] in a .npy file
 *                                                           └─> perplexity: -log p of each next token, and means
 *     ids ─> two models ─> compare.h: how far one is from the other */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "compare.h"
#include "input.h"
#include "language.h"
#include "output.h"
#include "process.h"

#define BATCH 64 /* tokens: rows of logits held at a time */

typedef struct measure_request {
  const char *command, *help;
  language_options language;
  const char *ids, *output, *compare;
  bool json;
} measure_request;

/* Takes the logits [n_vocab] of token `index` of the text; false ends the work. */
typedef bool (*row_taker)(void *context, size_t index, const float *logits);

/* Runs one text from the start; false after printing why, or when interrupted. */
static bool run_text(const language *l, int32_t kv_type, const int32_t *ids, size_t n, row_taker take, void *context) {
  const sotto_session_options options = {
      .n_ctx = n < INT32_MAX ? (int32_t)n : INT32_MAX, .n_batch = BATCH, .all_logits = 1, .kv_type = kv_type};
  sotto_session *s = NULL;
  bool ok =
      n == 0 || (sotto_session_open(&s, l->model, &options) == SOTTO_OK && sotto_session_sync(s, ids, n) == SOTTO_OK);
  size_t next = 0; /* token whose logits come next */
  if (!ok) language_complain(l);
  while (ok && next < n && !process_interrupted()) {
    if (sotto_session_step(s) < 0) ok = language_complain(l);
    for (int32_t i = sotto_session_n_logits(s); ok && i-- > 0;) ok = take(context, next++, sotto_session_logits(s, i));
  }
  sotto_session_close(s);
  return ok && next == n;
}

/* ---- logits ---- */

typedef struct logits_file {
  output out;
  size_t n_vocab;
  bool failed; /* errno says why */
} logits_file;

static bool write_row(void *context, size_t index, const float *logits) {
  logits_file *f = context;
  (void)index;
  f->failed = !output_write(&f->out, (const char *)logits, f->n_vocab * sizeof *logits);
  return !f->failed;
}

/* The header of a NumPy file of version 1, 64 bytes or a multiple. */
static bool write_npy_header(output *out, size_t rows, size_t columns) {
  char header[192];
  const int used = snprintf(header + 10, sizeof header - 10,
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
  const size_t size = (10 + (size_t)used + 1 + 63) / 64 * 64;
  memset(header + 10 + used, ' ', size - 10 - (size_t)used);
  header[size - 1] = '\n';
  memcpy(header, "\x93NUMPY\x01\x00", 8);
  header[8] = (char)((size - 10) & 0xff);
  header[9] = (char)((size - 10) >> 8);
  return output_write(out, header, size);
}

static bool write_logits(const measure_request *r, const language *l, const id_texts *ids) {
  if (ids->n_texts != 1 || ids->ends[0] == 0) {
    fprintf(stderr, "sotto: %s: give the ids of one text\n", r->ids);
    return false;
  }
  const size_t n = ids->ends[0];
  logits_file f = {.n_vocab = (size_t)l->info.n_vocab};
  bool opened = output_open(&f.out, strcmp(r->output, "-") != 0 ? r->output : NULL);
  f.failed = !opened || !write_npy_header(&f.out, n, f.n_vocab);
  bool ok = !f.failed && run_text(l, r->language.kv_type, ids->ids, n, write_row, &f);
  if (ok && !output_commit(&f.out)) f.failed = true;
  if (f.failed) fprintf(stderr, "sotto: could not write %s: %s\n", r->output, strerror(errno));
  if (opened) output_discard(&f.out);
  return ok && !f.failed;
}

/* ---- perplexity ---- */

typedef struct score {
  const int32_t *ids; /* [n] */
  size_t n, n_vocab;
  double nll; /* sum over the tokens that are predicted */
} score;

static bool score_row(void *context, size_t index, const float *logits) {
  score *s = context;
  if (index + 1 >= s->n) return true; /* nothing comes after the last */
  float greatest = -INFINITY;
  double sum = 0;
  for (size_t i = 0; i < s->n_vocab; i++) greatest = logits[i] > greatest ? logits[i] : greatest;
  for (size_t i = 0; i < s->n_vocab; i++) sum += exp((double)logits[i] - (double)greatest);
  s->nll += (double)greatest + log(sum) - (double)logits[s->ids[index + 1]];
  return true;
}

static bool print_perplexity(const measure_request *r, const language *l, const id_texts *ids) {
  text each = {0}, out = {0};
  double of_texts = 0, of_tokens = 0;
  size_t n_tokens = 0, begin = 0;
  bool ok = ids->n_texts > 0;
  for (size_t i = 0; ok && i < ids->n_texts; begin = ids->ends[i++]) {
    score s = {.ids = ids->ids + begin, .n = ids->ends[i] - begin, .n_vocab = (size_t)l->info.n_vocab};
    if (s.n < 2) {
      fprintf(stderr, "sotto: %s: text %zu has fewer than two tokens: there is nothing to predict\n", r->ids, i + 1);
      ok = false;
      break;
    }
    ok = run_text(l, r->language.kv_type, s.ids, s.n, score_row, &s);
    of_texts += s.nll / (double)(s.n - 1);
    of_tokens += s.nll;
    n_tokens += s.n - 1;
    text_string(&each, i > 0 ? "," : "");
    json_number(&each, s.nll / (double)(s.n - 1), 1e6);
  }
  if (ok) {
    of_texts /= (double)ids->n_texts;
    of_tokens /= (double)n_tokens;
    if (r->json) {
      const struct {
        const char *name;
        double value;
      } numbers[] = {{"nll", of_texts},
                     {"nll_by_token", of_tokens},
                     {"perplexity", exp(of_tokens)},
                     {"n_texts", (double)ids->n_texts},
                     {"n_tokens", (double)n_tokens}};
      for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        text_format(&out, "%c\"%s\":", i > 0 ? ',' : '{', numbers[i].name);
        json_number(&out, numbers[i].value, 1e6);
      }
      text_string(&out, ",\"texts\":[");
      text_bytes(&out, each.data, each.size);
      text_string(&out, "]}\n");
    } else {
      text_format(&out, "%.6f\n", of_texts);
    }
    if (out.failed || each.failed) {
      fputs("sotto: out of memory\n", stderr);
      ok = false;
    } else {
      ok = fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    }
  }
  text_free(&each);
  text_free(&out);
  return ok;
}

/* ---- perplexity beside another model ---- */

static bool print_comparison(const measure_request *r, const comparison *c) {
  const double n = (double)c->n_tokens, nll = c->nll / n, base_nll = c->base_nll / n;
  text out = {0};
  if (!r->json) {
    return printf("perplexity     %.4f\nof the base    %.4f\ndivergence     %.6f\nsame argmax    %.3f %%\n", exp(nll),
                  exp(base_nll), c->divergence / n, 100 * (double)c->n_same / n) > 0 &&
           fflush(stdout) == 0;
  }
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"perplexity", exp(nll)},
                 {"nll_by_token", nll},
                 {"base_perplexity", exp(base_nll)},
                 {"base_nll_by_token", base_nll},
                 {"divergence", c->divergence / n},
                 {"same_argmax", (double)c->n_same / n},
                 {"n_tokens", n}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(&out, "%c\"%s\":", i > 0 ? ',' : '{', numbers[i].name);
    json_number(&out, numbers[i].value, 1e7);
  }
  text_string(&out, "}\n");
  const bool ok = !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
  text_free(&out);
  return ok;
}

static bool compare_models(const measure_request *r, const language *l, const id_texts *ids) {
  language base = {0};
  comparison c = {0};
  bool ok = language_open(&base, r->compare, r->language.threads, false);
  if (ok && base.info.n_vocab != l->info.n_vocab) {
    fprintf(stderr, "sotto: %s: %s has another vocabulary: compare models of one kind\n", r->language.model,
            r->compare);
    ok = false;
  }
  for (size_t i = 0, first = 0; ok && i < ids->n_texts; first = ids->ends[i++]) {
    const size_t n = ids->ends[i] - first;
    if (n > 1) ok = compare_text(&c, l, &base, r->language.kv_type, ids->ids + first, n);
  }
  language_close(&base);
  if (ok && c.n_tokens == 0) {
    fprintf(stderr, "sotto: %s: no text has two tokens: there is nothing to predict\n", r->ids);
    return false;
  }
  return ok && print_comparison(r, &c);
}

static bool print_either(const measure_request *r, const language *l, const id_texts *ids) {
  return r->compare != NULL ? compare_models(r, l, ids) : print_perplexity(r, l, ids);
}

/* ---- the commands ---- */

static const char logits_help[] =
    "Usage: sotto logits -m MODEL --ids FILE -o OUT.npy\n"
    "Writes the logits of each token as a NumPy array of float32, [tokens, vocabulary].\n"
    "\n"
    "  -m, --model MODEL   GGUF file, or folder as on Hugging Face\n"
    "      --ids FILE      token ids: a JSON array, or ids between white space; - is standard input\n"
    "  -o, --output FILE   the array; - is standard output\n"
    "      --kv TYPE       of the stored keys and values: f16 (default) or q8_0\n"
    "  -t, --threads N     threads to use (default: one for each core, at most 8)\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n";

static const char perplexity_help[] =
    "Usage: sotto perplexity -m MODEL --ids FILE [--json]\n"
    "Prints how badly the model predicts texts: the mean negative log-likelihood of a token given those\n"
    "before it in its text, averaged over the texts.\n"
    "With --compare both models are evaluated side by side: their perplexities over all tokens, the mean\n"
    "Kullback-Leibler divergence of the model's distributions from the base's, in nats, and the share of tokens\n"
    "that both find likeliest.\n"
    "\n"
    "  -m, --model MODEL   GGUF file, or folder as on Hugging Face\n"
    "      --ids FILE      token ids: a JSON array for each text in a JSON array, or one text as a JSON\n"
    "                      array, or as ids between white space; - is standard input\n"
    "      --compare BASE  another model with the same vocabulary, usually the one before quantization\n"
    "      --json          one line of JSON, with the mean over all tokens, and of each text\n"
    "      --kv TYPE       of the stored keys and values: f16 (default) or q8_0\n"
    "  -t, --threads N     threads to use (default: one for each core, at most 8)\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n";

/* ARGS_END: nothing is left to do; 1: go on. */
static int read_request(measure_request *r, const option_spec *options, char **argv) {
  args a = {.command = r->command, .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool taken;
    if (!language_option(&r->language, &a, id, &taken)) return ARGS_WRONG;
    if (taken) continue;
    switch (id) {
      case 'h':
        fputs(r->help, stdout);
        return ARGS_END;
      case 'i':
        r->ids = a.value;
        break;
      case 'o':
        r->output = a.value;
        break;
      case 'c':
        r->compare = a.value;
        break;
      case 'j':
        r->json = true;
        break;
      case ARGS_OPERAND:
        return args_wrong(&a, "unexpected argument '%s': ids are given with --ids", a.value);
      default:
        return ARGS_WRONG;
    }
  }
  if (r->language.model == NULL) return args_wrong(&a, "no model: give one with --model");
  if (r->ids == NULL) return args_wrong(&a, "no token ids: give a file with --ids");
  if (r->output == NULL) return args_wrong(&a, "no file to write: give one with --output");
  return 1;
}

static int measure(measure_request *r, const option_spec *options, char **argv,
                   bool (*work)(const measure_request *, const language *, const id_texts *)) {
  const int read = read_request(r, options, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  process_catch_interrupts();
  id_texts ids = {0};
  language l = {0};
  const bool ok = input_read_ids(&ids, r->ids) && language_open(&l, r->language.model, r->language.threads, false) &&
                  work(r, &l, &ids);
  language_close(&l);
  id_texts_free(&ids);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}

int command_logits(char **argv) {
  static const option_spec options[] = {LANGUAGE_MODEL_OPTION, LANGUAGE_KV_OPTION,         LANGUAGE_THREADS_OPTION,
                                        {"ids", 0, true, 'i'}, {"output", 'o', true, 'o'}, {"help", 'h', false, 'h'},
                                        {NULL, 0, false, 0}};
  measure_request r = {.command = "logits ", .help = logits_help};
  return measure(&r, options, argv, write_logits);
}

int command_perplexity(char **argv) {
  static const option_spec options[] = {LANGUAGE_MODEL_OPTION,     LANGUAGE_KV_OPTION,        LANGUAGE_THREADS_OPTION,
                                        {"ids", 0, true, 'i'},     {"compare", 0, true, 'c'}, {"json", 0, false, 'j'},
                                        {"help", 'h', false, 'h'}, {NULL, 0, false, 0}};
  measure_request r = {.command = "perplexity ", .help = perplexity_help, .output = "-"};
  return measure(&r, options, argv, print_either);
}
