/* sotto generate: a language model goes on with a text, or answers it.
 *
 *     text or message ─> ids ─> reply ─> standard output, as it is written, or a line of JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/text/text_stream.h"
#include "commands.h"
#include "input.h"
#include "process.h"
#include "reply.h"
#include "terminal.h"

typedef struct generate_request {
  language_options language;
  sampling sampling;
  const char *prompt, *file, *system;
  bool chat, json, timings;
  int64_t most; /* tokens to write */
  int32_t n_top;
  const char *stops[TEXT_STREAM_MAX_STOPS];
  size_t n_stops;
} generate_request;

static sotto_status tokenize(const generate_request *r, const language *l, const text *prompt, int32_t *ids,
                             size_t capacity, size_t *n) {
  if (!r->chat)
    return sotto_tokenize(l->model, prompt->data, prompt->size, SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL, ids, capacity, n);
  const sotto_turn turns[2] = {{SOTTO_SYSTEM, r->system, r->system != NULL ? strlen(r->system) : 0},
                               {SOTTO_USER, prompt->data, prompt->size}};
  const size_t first = r->system == NULL;
  return sotto_chat_tokens(l->model, turns + first, 2 - first, ids, capacity, n);
}

static bool read_prompt(const generate_request *r, text *prompt) {
  if (r->prompt != NULL) {
    text_string(prompt, r->prompt);
  } else {
    if (!input_read(prompt, r->file != NULL ? r->file : "-")) return false;
    if (prompt->size > 0 && prompt->data[prompt->size - 1] == '\n')
      prompt->size--; /* the end of a line, not of the text */
  }
  if (prompt->failed) fputs("sotto: out of memory\n", stderr);
  return !prompt->failed;
}

static bool open_reply(const generate_request *r, const language *l, const text *prompt, size_t capacity, reply *out) {
  size_t n = 0;
  if (tokenize(r, l, prompt, NULL, 0, &n) < 0) return language_complain(l);
  int32_t *ids = malloc((n + 1) * sizeof *ids);
  bool ok = ids != NULL;
  if (!ok) fputs("sotto: out of memory\n", stderr);
  if (ok && tokenize(r, l, prompt, ids, n, &n) < 0) ok = language_complain(l);
  ok = ok && reply_open(out, ids, n, capacity);
  free(ids);
  return ok;
}

static bool show(void *context, const char *bytes, size_t size) {
  const generate_request *r = context;
  return r->json || terminal_show(bytes, size);
}

static bool finish(const generate_request *r, const language *l, const reply *done) {
  text out = {0};
  if (r->json)
    reply_json(done, l, &out);
  else
    text_string(&out, "\n");
  bool ok = !out.failed;
  if (!ok) fputs("sotto: out of memory\n", stderr);
  ok = ok && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
  text_free(&out);
  if (r->timings) reply_print_timings(done, l, stderr);
  return ok;
}

static bool generate(generate_request *r) {
  language l = {0};
  sotto_session *session = NULL;
  reply answer = {0};
  text prompt = {0};
  const reply_options how = {.sampling = &r->sampling.options,
                             .most = r->most,
                             .stops = r->stops,
                             .n_stops = r->n_stops,
                             .n_top = r->n_top,
                             .show = show,
                             .context = r};
  bool ok = read_prompt(r, &prompt) && language_open(&l, r->language.model, r->language.threads, false) &&
            language_session(&l, &r->language, &session);
  ok = ok && open_reply(r, &l, &prompt, (size_t)sotto_session_capacity(session), &answer) &&
       reply_write(&answer, &l, session, &how) && finish(r, &l, &answer);
  text_free(&prompt);
  reply_free(&answer);
  sotto_session_close(session);
  language_close(&l);
  return ok;
}

/* ---- the command ---- */

enum { HELP = 1, PROMPT, INPUT, CHAT, SYSTEM, LENGTH, STOP, LOGPROBS, JSON, TIMINGS };

static const option_spec options[] = {LANGUAGE_MODEL_OPTION,
                                      LANGUAGE_CONTEXT_OPTION,
                                      LANGUAGE_THREADS_OPTION,
                                      LANGUAGE_KV_OPTION,
                                      LANGUAGE_DRAFT_OPTIONS,
                                      SAMPLING_OPTIONS,
                                      {"prompt", 'p', true, PROMPT},
                                      {"file", 'f', true, INPUT},
                                      {"chat", 0, false, CHAT},
                                      {"system", 0, true, SYSTEM},
                                      {"tokens", 'n', true, LENGTH},
                                      {"stop", 0, true, STOP},
                                      {"logprobs", 0, true, LOGPROBS},
                                      {"json", 0, false, JSON},
                                      {"timings", 0, false, TIMINGS},
                                      {"help", 'h', false, HELP},
                                      {NULL, 0, false, 0}};

static const char help[] =
    "Usage: sotto generate -m MODEL [OPTION]... [-p TEXT | -f FILE]\n"
    "Goes on with a text, or answers it, with a language model (Gemma 1, 2, 3).\n"
    "\n"
    "  -m, --model MODEL       GGUF file (of a split one, any part), or folder as on Hugging Face; by default\n"
    "                          what SOTTO_LANGUAGE_MODEL says, else the small story teller that comes with sotto\n"
    "  -p, --prompt TEXT       the text\n"
    "  -f, --file FILE         the text in a file (default: -, standard input)\n"
    "      --chat              the text is a message, and the model answers it\n"
    "      --system TEXT       what the model is told before the message; with --chat\n"
    "  -n, --tokens N          most tokens to write (default: as many as the context takes)\n"
    "      --stop STRING       end before this string; can be given several times\n"
    "      --ctx N             tokens of prompt and answer together (default: 4096, or what the\n"
    "                          model was trained for, if that is less)\n" LANGUAGE_KV_HELP LANGUAGE_DRAFT_HELP
        LANGUAGE_THREADS_HELP
    "      --json              one line of JSON, with tokens, timings and memory\n"
    "      --logprobs N        with --json: the log-probability of each token, and of the N likeliest\n"
    "                          in its place (0 to 20)\n"
    "      --timings           how long each part took, on standard error\n"
    "\n" SAMPLING_HELP
    "      --seed N            the same seed, the same text (default: 0)\n"
    "  -h, --help              this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n"
    "Example: sotto generate --chat -p \"Tell me a story about a dog and a ball.\"\n";

static bool read_option(generate_request *r, const args *a, int id) {
  int64_t n = 0;
  bool taken;
  if (!language_option(&r->language, a, id, &taken)) return false;
  if (!taken && !sampling_option(&r->sampling, a, id, &taken)) return false;
  if (taken) return true;
  switch (id) {
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
      return args_integer(a, 0, INT32_MAX, &r->most);
    case STOP:
      return reply_stop_option(a, r->stops, &r->n_stops);
    case LOGPROBS:
      if (!args_integer(a, 0, SOTTO_MAX_TOP, &n)) return false;
      r->n_top = (int32_t)n;
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
  *r = (generate_request){.most = INT32_MAX, .n_top = -1};
  sampling_default(&r->sampling);
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
  if (r->prompt != NULL && r->file != NULL) return args_wrong(&a, "--prompt and --file exclude each other");
  if (r->system != NULL && !r->chat) return args_wrong(&a, "--system goes with --chat");
  if (r->n_top >= 0 && !r->json) return args_wrong(&a, "--logprobs goes with --json");
  return language_default_model(&r->language, &a);
}

int command_generate(char **argv) {
  generate_request r;
  const int read = read_request(&r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  process_catch_interrupts();
  const bool ok = generate(&r);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}
