#define _XOPEN_SOURCE 700

#include "line_editor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "vendor/linenoise/linenoise.h"

enum { MOST_ENTRIES = 1000, PASTE_MS = 20 };

static const char prompt[] = "> ", continued[] = ". ";

/* ---- history ---- */

char *line_editor_default_history(void) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  const bool xdg = state != NULL && state[0] == '/';
  if (!xdg && (home == NULL || home[0] == '\0')) return NULL;
  const char *base = xdg ? state : home, *rest = xdg ? "/sotto/chat_history" : "/.local/state/sotto/chat_history";
  const size_t size = strlen(base) + strlen(rest) + 1;
  char *path = malloc(size);
  if (path != NULL) snprintf(path, size, "%s%s", base, rest);
  return path;
}

/* Makes the folders on the way to a file, for their owner alone. */
static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
}

/* Leaves the newest entries where the file has far more. */
static void shorten(const char *path) {
  const size_t size = strlen(path) + 32;
  char *temporary = malloc(size);
  if (temporary == NULL) return;
  snprintf(temporary, size, "%s.%ld.tmp", path, (long)getpid());
  const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (file >= 0) {
    close(file);
    if (linenoiseHistorySave(temporary) != 0 || rename(temporary, path) != 0) unlink(temporary);
  }
  free(temporary);
}

static size_t count_lines(const char *path) {
  size_t n = 0;
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  for (int c; (c = getc(f)) != EOF;) n += c == '\n';
  fclose(f);
  return n;
}

static void load_history(const char *path) {
  linenoiseHistorySetMaxLen(MOST_ENTRIES);
  if (linenoiseHistoryLoad(path) == 0 && count_lines(path) > 2 * MOST_ENTRIES) shorten(path);
}

/* Appends in one write, so that several chats can share the file; in the form that linenoise loads. */
static void append(const char *path, const char *entry) {
  text line = {0};
  for (const char *c = entry; *c != '\0'; c++) {
    const char *escaped = *c == '\\' ? "\\\\" : *c == '\n' ? "\\n" : *c == '\r' ? "\\r" : NULL;
    text_bytes(&line, escaped != NULL ? escaped : c, escaped != NULL ? 2 : 1);
  }
  text_bytes(&line, "\n", 1);
  const int file = line.failed ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file >= 0) {
    const ssize_t written = write(file, line.data, line.size);
    (void)written; /* a history that cannot be kept is no reason to stop */
    close(file);
  }
  text_free(&line);
}

void line_editor_remember(line_editor *e, const text *message) {
  if (!e->on_terminal || message->size == 0 || memchr(message->data, '\0', message->size) != NULL) return;
  char *entry = strndup(message->data, message->size);
  if (entry == NULL) return;
  linenoiseHistoryAdd(entry);
  if (e->history != NULL) append(e->history, entry);
  free(entry);
}

/* ---- opening ---- */

static const char *const *completed;

static void complete(const char *prefix, linenoiseCompletions *found, void *context) {
  (void)context;
  for (const char *const *word = completed; word != NULL && *word != NULL && prefix[0] != '\0'; word++)
    if (strncmp(*word, prefix, strlen(prefix)) == 0) linenoiseAddCompletion(found, *word);
}

void line_editor_open(line_editor *e, const char *history, const char *const *words) {
  *e = (line_editor){.on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
  if (!e->on_terminal) return;
  completed = words;
  linenoiseSetMultiLine(1);
  linenoiseSetCompletionCallback(complete, NULL);
  e->history = history != NULL ? strdup(history) : NULL;
  if (e->history == NULL) return;
  make_folders(e->history);
  load_history(e->history);
}

void line_editor_close(line_editor *e) {
  free(e->history);
  *e = (line_editor){0};
}

/* ---- reading ---- */

static line_result read_plain(text *line) {
  int c;
  size_t n = 0;
  for (; (c = getchar()) != EOF && c != '\n'; n++) {
    const char byte = (char)c;
    text_bytes(line, &byte, 1);
  }
  if (c == EOF && process_interrupted()) return LINE_INTERRUPTED;
  if (line->size > 0 && line->data[line->size - 1] == '\r') line->size--;
  return c == EOF && n == 0 ? LINE_END : LINE_READ;
}

/* Whether the terminal was closed: linenoise then returns empty lines for ever. */
static bool hung_up(void) {
  struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static line_result read_line(const line_editor *e, text *line, const char *before, const char *initial) {
  if (!e->on_terminal) return read_plain(line);
  errno = 0;
  char *typed = linenoiseWithInitial(before, initial != NULL ? initial : "");
  if (typed == NULL) return errno == EAGAIN ? LINE_INTERRUPTED : LINE_END;
  const bool empty = typed[0] == '\0';
  text_string(line, typed);
  free(typed);
  if (process_interrupted()) return LINE_INTERRUPTED;
  return empty && hung_up() ? LINE_END : LINE_READ;
}

/* Nobody types the next line this fast. */
static bool pasted_more(const line_editor *e) {
  struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
  return e->on_terminal && poll(&p, 1, PASTE_MS) > 0 && (p.revents & POLLIN) != 0;
}

static bool ends_with(const text *t, size_t from, const char *end) {
  const size_t size = strlen(end);
  return t->size - from >= size && memcmp(t->data + t->size - size, end, size) == 0;
}

static const char marks[] = "\"\"\"";

/* The lines after one that begins with """, up to one that ends so. */
static line_result read_block(line_editor *e, text *message, size_t begin) {
  const size_t size = strlen(marks);
  memmove(message->data + begin, message->data + begin + size, message->size - begin - size);
  message->size -= size;
  for (size_t line = begin; !ends_with(message, line, marks);) {
    text_bytes(message, "\n", 1);
    line = message->size;
    const line_result result = read_line(e, message, continued, NULL);
    if (result == LINE_INTERRUPTED) return result;
    if (result == LINE_END) { /* what there is counts */
      message->size--;
      return LINE_READ;
    }
  }
  message->size -= size;
  if (message->size > begin && message->data[message->size - 1] == '\n') message->size--;
  if (message->size > begin && message->data[begin] == '\n')
    memmove(message->data + begin, message->data + begin + 1, --message->size - begin);
  return LINE_READ;
}

line_result line_editor_read(line_editor *e, text *message, const char *initial) {
  const size_t begin = message->size;
  line_result result = read_line(e, message, prompt, initial);
  if (result != LINE_READ) return result;
  if (message->size - begin >= strlen(marks) && memcmp(message->data + begin, marks, strlen(marks)) == 0)
    return read_block(e, message, begin);
  while (result == LINE_READ && !message->failed) {
    if (ends_with(message, begin, "\\"))
      message->data[message->size - 1] = '\n';
    else if (pasted_more(e))
      text_bytes(message, "\n", 1);
    else
      break;
    result = read_line(e, message, continued, NULL);
  }
  return result == LINE_INTERRUPTED ? result : LINE_READ;
}
