#define _XOPEN_SOURCE 700

#include "terminal.h"

#include <stdio.h>
#include <unistd.h>

#include "process.h"

/* Bytes of the control character that begins here; 0: it is none. Those above U+007F (c2 80 to c2 9f) count too. */
static size_t control_bytes(const unsigned char *p, size_t size) {
  if ((p[0] < 0x20 && p[0] != '\n' && p[0] != '\t') || p[0] == 0x7f) return 1;
  return p[0] == 0xc2 && size > 1 && p[1] < 0xa0 ? 2 : 0;
}

static bool put(const unsigned char *bytes, size_t size) { return size == 0 || fwrite(bytes, 1, size, stdout) == size; }

bool terminal_show(const char *bytes, size_t size) {
  const unsigned char *p = (const unsigned char *)bytes;
  const bool filtered = isatty(STDOUT_FILENO);
  size_t begin = 0;
  for (size_t i = 0; filtered && i < size;) {
    const size_t n = control_bytes(p + i, size - i);
    if (n > 0) {
      if (!put(p + begin, i - begin)) return false;
      begin = i + n;
    }
    i += n > 0 ? n : 1;
  }
  return put(p + begin, size - begin) && fflush(stdout) == 0;
}

enum { QUIET_MS = 500 };

void terminal_progress_show(terminal_progress *p, const char *what, double done, double total) {
  const double now_ms = process_now_ms();
  if (p->begin_ms == 0) p->begin_ms = now_ms;
  const int percent = total > 0 ? (int)(100 * done / total) : 0;
  if (now_ms - p->begin_ms < QUIET_MS || percent <= p->percent || !isatty(STDERR_FILENO)) return;
  fprintf(stderr, "\r%s: %d %%", what, percent);
  p->percent = percent;
}

void terminal_progress_hide(terminal_progress *p) {
  if (p->percent > 0) fputs("\r\033[K", stderr);
  *p = (terminal_progress){0};
}
