#define _XOPEN_SOURCE 700

#include "chat.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "process.h"
#include "terminal.h"

void chat_note(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("(", stderr);
  vfprintf(stderr, format, list);
  fputs(")\n", stderr);
  va_end(list);
}

chat_next chat_complain(chat *c, const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("sotto: ", stderr);
  vfprintf(stderr, format, list);
  fputs("\n", stderr);
  va_end(list);
  c->failed = true;
  return CHAT_READ;
}

/* ---- what the model sees ---- */

/* The system's turn, where there is one, and turns [first, n_turns). Free it. NULL: no memory. */
static sotto_turn *make_view(const conversation *c, size_t *n) {
  const size_t seen = c->n_turns - c->first, system = c->system.size > 0;
  sotto_turn *view = malloc((seen + 1) * sizeof *view);
  if (view == NULL) return NULL;
  if (system) view[0] = (sotto_turn){SOTTO_SYSTEM, c->system.data, c->system.size};
  memcpy(view + system, c->turns + c->first, seen * sizeof *view);
  *n = seen + system;
  return view;
}

/* How many tokens are kept free for an answer: a quarter of the context, at most 1024. */
static size_t room_for_answer(const chat *c) {
  const size_t quarter = (size_t)sotto_session_capacity(c->session) / 4;
  const size_t most = min_size(min_size(quarter, 1024), (size_t)max_size((size_t)c->r->most, 1));
  return max_size(most, 1);
}

/* Leaves out the oldest turns when the conversation has outgrown the context: down to half of it, where that is possible, so that the turns to come
 * find what they share with this one evaluated. */
static bool fit(chat *c) {
  conversation *turns = &c->conversation;
  const size_t capacity = (size_t)sotto_session_capacity(c->session);
  size_t n_view = 0, n, dropped = 0, dropped_to_half;
  sotto_turn *view = make_view(turns, &n_view);
  if (view == NULL) return chat_complain(c, "out of memory"), false;
  const size_t most = capacity - min_size(room_for_answer(c), capacity - 1);
  bool ok = sotto_chat_fit(c->l.model, view, n_view, most, NULL, 0, &n, &dropped) >= 0;
  if (!ok) language_complain(&c->l);
  if (ok && dropped > 0) {
    if (sotto_chat_fit(c->l.model, view, n_view, capacity / 2, NULL, 0, &n, &dropped_to_half) >= 0)
      dropped = dropped_to_half;
    turns->first += dropped;
    chat_note("the context of %zu tokens is full: the model no longer sees the %s%zu oldest turns", capacity,
              turns->first > dropped ? "next " : "", dropped);
  }
  free(view);
  return ok;
}

/* Makes c->last the reply to come, with the prompt's ids. */
static bool open_reply(chat *c) {
  size_t n_view = 0, n = 0;
  sotto_turn *view = make_view(&c->conversation, &n_view);
  int32_t *ids = NULL;
  bool ok = view != NULL;
  if (ok && sotto_chat_tokens(c->l.model, view, n_view, NULL, 0, &n) < 0) ok = language_complain(&c->l);
  if (ok) ids = malloc((n + 1) * sizeof *ids);
  if (ids != NULL && sotto_chat_tokens(c->l.model, view, n_view, ids, n, &n) < 0) ok = language_complain(&c->l);
  reply_free(&c->last);
  ok = ok && ids != NULL && reply_open(&c->last, ids, n, (size_t)sotto_session_capacity(c->session));
  free(ids);
  free(view);
  return ok;
}

/* ---- answers ---- */

static bool show(void *context, const char *bytes, size_t size) {
  chat *c = context;
  c->broken = !c->r->json && !terminal_show(bytes, size);
  return !c->broken;
}

static bool end_of_answer(chat *c) {
  text out = {0};
  if (c->r->json)
    reply_json(&c->last, &c->l, &out);
  else
    text_string(&out, c->editor.on_terminal ? "\n\n" : "\n");
  const bool ok = !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
  text_free(&out);
  if (c->r->timings) reply_print_timings(&c->last, &c->l, stderr);
  return ok;
}

static bool write_answer(chat *c) {
  sotto_sampler_options chosen = c->r->sampling.options;
  chosen.seed += c->n_answers++;
  const reply_options how = {.sampling = &chosen,
                             .most = c->r->most,
                             .stops = c->r->stops,
                             .n_stops = c->r->n_stops,
                             .n_top = -1,
                             .show = show,
                             .context = c};
  return reply_write(&c->last, &c->l, c->session, &how);
}

static void keep_answer(chat *c) {
  const reply *r = &c->last;
  const bool interrupted = strcmp(r->stop_reason, "interrupted") == 0;
  if (interrupted && r->written.size == 0) {
    conversation_drop(&c->conversation);
    chat_note("stopped before the first word: the message is taken back");
    return;
  }
  if (!conversation_add(&c->conversation, r->written.data, r->written.size)) chat_complain(c, "out of memory");
  if (interrupted && c->editor.on_terminal) chat_note("stopped");
  if (strcmp(r->stop_reason, "context") == 0) chat_note("the context is full: the answer ends here");
  if (c->r->save != NULL && !conversation_save(&c->conversation, c->r->save, c->l.path))
    chat_complain(c, "could not write %s: %s", c->r->save, strerror(errno));
}

/* Answers the last message; one that cannot be answered is taken back. */
static void answer(chat *c) {
  process_forget_interrupt();
  const bool ok = fit(c) && open_reply(c) && write_answer(c) && end_of_answer(c);
  if (ok) {
    keep_answer(c);
  } else {
    conversation_drop(&c->conversation);
    c->failed = true;
  }
}

/* ---- messages ---- */

static chat_next take_message(chat *c, text *line) {
  const size_t blank = line->data != NULL ? strspn(line->data, " \t\n") : 0;
  if (blank >= line->size) return CHAT_READ;
  const bool doubled = line->size > 1 && line->data[0] == '/' && line->data[1] == '/';
  if (line->data[0] == '/' && !doubled) return chat_command(c, line);
  if (!conversation_add(&c->conversation, line->data + doubled, line->size - doubled))
    return chat_complain(c, "out of memory");
  return CHAT_ANSWER;
}

/* CHAT_END at the end of the input. */
static chat_next read_message(chat *c) {
  text line = {0};
  chat_next next = CHAT_READ;
  const line_result result = line_editor_read(&c->editor, &line, NULL);
  if (result == LINE_END || process_terminated() || (result == LINE_INTERRUPTED && !c->editor.on_terminal)) {
    next = CHAT_END;
  } else if (result == LINE_INTERRUPTED) {
    chat_note("Ctrl-D or /exit ends");
  } else {
    line_editor_remember(&c->editor, &line);
    text_bytes(&line, "", 1); /* NUL, not counted */
    if (line.failed) {
      next = chat_complain(c, "out of memory");
    } else {
      line.size--;
      next = take_message(c, &line);
    }
  }
  text_free(&line);
  return next;
}

static void greet(const chat *c) {
  const sotto_model_info *m = &c->l.info;
  if (!c->editor.on_terminal) return;
  const char *slash = strrchr(c->l.path, '/');
  fprintf(stderr,
          "%s: %s, %.1f M parameters, %s; context of %d tokens, %d threads. /help lists commands, Ctrl-D ends.\n\n",
          slash != NULL && slash[1] != '\0' ? slash + 1 : c->l.path, m->architecture, (double)m->n_parameters / 1e6,
          m->weight_type, (int)sotto_session_capacity(c->session), (int)sotto_engine_threads(c->l.engine));
}

static void converse(chat *c) {
  chat_next next = conversation_awaits_answer(&c->conversation) ? CHAT_ANSWER : CHAT_READ;
  greet(c);
  if (c->r->message != NULL && next == CHAT_READ) {
    const size_t size = strlen(c->r->message);
    next = conversation_add(&c->conversation, c->r->message, size) ? CHAT_ANSWER : chat_complain(c, "out of memory");
  }
  while (next != CHAT_END) {
    if (next == CHAT_ANSWER) answer(c);
    const bool stopped = process_terminated() || (process_interrupted() && !c->editor.on_terminal);
    if (stopped || c->broken) return;
    process_forget_interrupt();
    next = read_message(c);
  }
}

/* ---- opening ---- */

static bool load_conversation(chat *c) {
  const chat_request *r = c->r;
  char problem[512];
  if (r->load != NULL && !conversation_load(&c->conversation, r->load, problem, sizeof problem))
    return chat_complain(c, "%s: %s", r->load, problem), false;
  if (r->system != NULL) {
    c->conversation.system.size = 0;
    text_string(&c->conversation.system, r->system);
  }
  return true;
}

static bool open_model(chat *c) {
  const language_options *o = &c->r->language;
  const sotto_turn turn = {SOTTO_USER, "", 0};
  size_t n;
  if (!language_open(&c->l, o->model, o->threads, false)) return false;
  if (sotto_chat_tokens(c->l.model, &turn, 1, NULL, 0, &n) < 0) return language_complain(&c->l);
  return language_session(&c->l, o, &c->session);
}

static void open_editor(chat *c) {
  char *found = c->r->history == NULL && !c->r->no_history ? line_editor_default_history() : NULL;
  line_editor_open(&c->editor, c->r->history != NULL ? c->r->history : found, chat_command_names());
  free(found);
}

static int run(chat_request *r) {
  chat c = {.r = r};
  if (!r->sampling.seeded) r->sampling.options.seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
  const bool ok = load_conversation(&c) && open_model(&c);
  if (ok) {
    open_editor(&c);
    if (c.editor.on_terminal)
      process_catch_every_interrupt();
    else
      process_catch_interrupts();
    converse(&c);
    line_editor_close(&c.editor);
  }
  reply_free(&c.last);
  conversation_free(&c.conversation);
  sotto_session_close(c.session);
  language_close(&c.l);
  if (process_interrupted()) return EXIT_INTERRUPTED;
  return ok && !c.broken && !(c.failed && !isatty(STDIN_FILENO)) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the command ---- */

enum { HELP = 1, MESSAGE, SYSTEM, LENGTH, STOP, HISTORY, NO_HISTORY, LOAD, SAVE, JSON, TIMINGS };

static const option_spec options[] = {LANGUAGE_MODEL_OPTION,          LANGUAGE_CONTEXT_OPTION,
                                      LANGUAGE_THREADS_OPTION,        LANGUAGE_KV_OPTION,
                                      LANGUAGE_DRAFT_OPTIONS,         SAMPLING_OPTIONS,
                                      {"prompt", 'p', true, MESSAGE}, {"system", 0, true, SYSTEM},
                                      {"tokens", 'n', true, LENGTH},  {"stop", 0, true, STOP},
                                      {"history", 0, true, HISTORY},  {"no-history", 0, false, NO_HISTORY},
                                      {"load", 0, true, LOAD},        {"save", 0, true, SAVE},
                                      {"json", 0, false, JSON},       {"timings", 0, false, TIMINGS},
                                      {"help", 'h', false, HELP},     {NULL, 0, false, 0}};

static const char help[] =
    "Usage: sotto chat -m MODEL [OPTION]...\n"
    "A conversation with a language model (Gemma 1, 2, 3). On a terminal, messages are edited with the cursor\n"
    "keys, /help lists commands, Ctrl-C stops an answer, Ctrl-D ends. From a pipe or file, each line is a\n"
    "message or a command, and the answers alone go to standard output.\n"
    "\n"
    "  -m, --model MODEL       GGUF file (of a split one, any part), or folder as on Hugging Face; by default\n"
    "                          what SOTTO_LANGUAGE_MODEL says, else the small story teller that comes with sotto\n"
    "      --system TEXT       what the model is told before the conversation\n"
    "  -p, --prompt TEXT       the first message\n"
    "  -n, --tokens N          most tokens of an answer (default: as many as the context takes)\n"
    "      --stop STRING       end an answer before this string; can be given several times\n"
    "      --load FILE         go on with a conversation that was saved\n"
    "      --save FILE         save the conversation after each answer (JSON)\n"
    "      --history FILE      of the messages typed (default: sotto/chat_history in $XDG_STATE_HOME or\n"
    "                          ~/.local/state, readable by its owner alone)\n"
    "      --no-history        keep none\n"
    "      --ctx N             tokens of the conversation that the model sees (default: 4096, or what it was\n"
    "                          trained for, if that is less); when it is full, the oldest turns are left "
    "out\n" LANGUAGE_KV_HELP LANGUAGE_DRAFT_HELP LANGUAGE_THREADS_HELP
    "      --json              one line of JSON for each answer, with tokens, timings and memory\n"
    "      --timings           how long each answer took, on standard error\n"
    "\n" SAMPLING_HELP
    "      --seed N            the same seed and messages, the same answers (default: another each time)\n"
    "  -h, --help              this help\n"
    "\n"
    "Exit status: 0 done, 1 something could not be done, 2 wrong usage, 130 interrupted.\n";

static bool read_option(chat_request *r, const args *a, int id) {
  bool taken;
  if (!language_option(&r->language, a, id, &taken)) return false;
  if (!taken && !sampling_option(&r->sampling, a, id, &taken)) return false;
  if (taken) return true;
  switch (id) {
    case MESSAGE:
      r->message = a->value;
      return true;
    case SYSTEM:
      r->system = a->value;
      return true;
    case LENGTH:
      return args_integer(a, 0, INT32_MAX, &r->most);
    case STOP:
      return reply_stop_option(a, r->stops, &r->n_stops);
    case HISTORY:
      r->history = a->value;
      return true;
    case NO_HISTORY:
      r->no_history = true;
      return true;
    case LOAD:
      r->load = a->value;
      return true;
    case SAVE:
      r->save = a->value;
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
static int read_request(chat_request *r, char **argv) {
  *r = (chat_request){.most = INT32_MAX};
  sampling_default(&r->sampling);
  args a = {.command = "chat ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    if (id == ARGS_WRONG) return ARGS_WRONG;
    if (id == HELP) {
      fputs(help, stdout);
      return ARGS_END;
    }
    if (id == ARGS_OPERAND)
      return args_wrong(&a, "unexpected argument '%s': the first message is given with --prompt", a.value);
    if (!read_option(r, &a, id)) return ARGS_WRONG;
  }
  if (r->history != NULL && r->no_history) return args_wrong(&a, "--history and --no-history exclude each other");
  return language_default_model(&r->language, &a);
}

int command_chat(char **argv) {
  chat_request r;
  const int read = read_request(&r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  return run(&r);
}
