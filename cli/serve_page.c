/* Files of the page, and the model files that it may load from here, with the headers that isolate it: threads need that. */
#define _XOPEN_SOURCE 700

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve.h"

static const char isolation[] =
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Embedder-Policy: require-corp\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Accept-Ranges: bytes\r\n";

static const char *type_of(const char *path) {
  static const struct {
    const char *end, *type;
  } types[] = {{".html", "text/html; charset=utf-8"},
               {".js", "text/javascript; charset=utf-8"},
               {".mjs", "text/javascript; charset=utf-8"},
               {".css", "text/css; charset=utf-8"},
               {".json", "application/json"},
               {".map", "application/json"},
               {".webmanifest", "application/manifest+json"},
               {".wasm", "application/wasm"},
               {".svg", "image/svg+xml"},
               {".png", "image/png"},
               {".ico", "image/x-icon"},
               {".woff2", "font/woff2"},
               {".wav", "audio/wav"},
               {".mp3", "audio/mpeg"},
               {".ogg", "audio/ogg"},
               {".txt", "text/plain; charset=utf-8"}};
  const size_t n = strlen(path);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    const size_t m = strlen(types[i].end);
    if (n > m && strcmp(path + n - m, types[i].end) == 0) return types[i].type;
  }
  return "application/octet-stream";
}

static void refuse(http_exchange *x, int status, const char *sentence) {
  http_answer(x, status, "text/plain; charset=utf-8", isolation, sentence, strlen(sentence));
}

/* Whether the build gave the file a name of its content: such a file never changes. assets/NAME-HASH.EXTENSION, the hash of 8 letters. */
static bool is_named_by_content(const char *path) {
  const char *assets = strstr(path, "/assets/"), *dot = strrchr(path, '.');
  return assets != NULL && dot != NULL && dot - assets > 17 && dot[-9] == '-' && strchr(dot, '/') == NULL;
}

/* Range: bytes=FIRST-LAST, one of which may be missing. 1: it is one, 0: there is none that is understood, -1: none of the file. */
static int read_range(http_slice field, uint64_t size, uint64_t *at, uint64_t *n) {
  unsigned long long first = 0, last = 0;
  char said[64];
  if (field.data == NULL || field.size >= sizeof said) return 0;
  memcpy(said, field.data, field.size);
  said[field.size] = '\0';
  if (strncmp(said, "bytes=", 6) != 0 || strspn(said + 6, "0123456789-") != field.size - 6) return 0;
  char *minus = strchr(said, '-'), *end = minus;
  if (minus == NULL || minus - said > 24 || strlen(minus) > 19 || strchr(minus + 1, '-') != NULL) return 0;
  const bool has_first = minus > said + 6, has_last = minus[1] != '\0';
  if (!has_first && !has_last) return 0;
  if (has_first) first = strtoull(said + 6, &end, 10);
  if (has_last) last = strtoull(minus + 1, NULL, 10);
  if (!has_first) { /* the last bytes */
    first = last < size ? size - last : 0;
    last = size - 1;
  }
  if (!has_last || last >= size) last = size - 1;
  if (size == 0 || first >= size || first > last) return -1;
  *at = first;
  *n = last - first + 1;
  return 1;
}

/* Answers with an open file, and closes it. */
static void answer_file(http_exchange *x, int file, const struct stat *status, const char *path) {
  const http_request *r = http_request_of(x);
  const uint64_t size = (uint64_t)status->st_size;
  char tag[64], fields[768];
  snprintf(tag, sizeof tag, "\"%llx-%llx\"", (unsigned long long)size, (unsigned long long)status->st_mtime);
  const char *keep = is_named_by_content(path) ? "public, max-age=31536000, immutable" : "no-cache";
  uint64_t at = 0, n = size;
  if (http_same(http_field_of(r, "if-none-match"), tag)) {
    close(file);
    snprintf(fields, sizeof fields, "%sETag: %s\r\nCache-Control: %s\r\n", isolation, tag, keep);
    http_answer(x, 304, NULL, fields, NULL, 0);
    return;
  }
  const http_slice condition = http_field_of(r, "if-range");
  const bool wants_range = condition.data == NULL || http_same(condition, tag);
  const int range = wants_range ? read_range(http_field_of(r, "range"), size, &at, &n) : 0;
  if (range < 0) {
    close(file);
    snprintf(fields, sizeof fields, "%sContent-Range: bytes */%llu\r\n", isolation, (unsigned long long)size);
    http_answer(x, 416, NULL, fields, NULL, 0);
    return;
  }
  int used = snprintf(fields, sizeof fields, "%sETag: %s\r\nCache-Control: %s\r\n", isolation, tag, keep);
  if (range > 0)
    snprintf(fields + used, sizeof fields - (size_t)used, "Content-Range: bytes %llu-%llu/%llu\r\n",
             (unsigned long long)at, (unsigned long long)(at + n - 1), (unsigned long long)size);
  http_answer_file(x, range > 0 ? 206 : 200, type_of(path), fields, file, at, n);
}

/* Opens a plain file; -1: there is none. A pipe must not make the server wait. */
static int open_plain(const char *path, struct stat *status) {
  const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file >= 0 && fstat(file, status) == 0 && S_ISREG(status->st_mode)) return file;
  if (file >= 0) close(file);
  return -1;
}

/* A path that stays within the folder by its words already: no part of it begins with a point. */
static bool is_inside(const char *path) {
  for (const char *p = path; *p != '\0'; p++) {
    if ((unsigned char)*p < 0x20 || *p == '\\' || (*p == '/' && (p[1] == '.' || p[1] == '/'))) return false;
  }
  return true;
}

/* The file that is meant, where it is in the folder, whatever links lead to. */
static int open_inside(const char *folder, const char *path, char *real, struct stat *status) {
  char wanted[PATH_MAX], root[PATH_MAX];
  const size_t n = strlen(path);
  const int length = snprintf(wanted, sizeof wanted, "%s%s%s", folder, path, path[n - 1] == '/' ? "index.html" : "");
  if (length < 0 || (size_t)length >= sizeof wanted) return -1;
  if (realpath(folder, root) == NULL || realpath(wanted, real) == NULL) return -1;
  const size_t root_size = strlen(root);
  if (strncmp(real, root, root_size) != 0 || (real[root_size] != '/' && root_size > 1)) return -1;
  return open_plain(real, status);
}

/* A model that is loaded, under the name of its file, for the page beside it. */
static int open_model(const serve *s, const char *path, struct stat *status) {
  static const char prefix[] = "/models/";
  if (strncmp(path, prefix, sizeof prefix - 1) != 0) return -1;
  for (int i = 0; i < s->n_models; i++) {
    const char *slash = strrchr(s->models[i].path, '/');
    if (strcmp(path + sizeof prefix - 1, slash != NULL ? slash + 1 : s->models[i].path) == 0)
      return open_plain(s->models[i].path, status);
  }
  return -1;
}

void serve_page(serve *s, http_exchange *x) {
  char path[1024], real[PATH_MAX] = "";
  struct stat status;
  if (!http_decode_path(http_request_of(x)->path, path, sizeof path) || !is_inside(path)) {
    refuse(x, 404, "There is no such file.\n");
    return;
  }
  int file = open_model(s, path, &status);
  if (file < 0 && s->page != NULL) file = open_inside(s->page, path, real, &status);
  if (file >= 0)
    answer_file(x, file, &status, real[0] != '\0' ? real : path);
  else if (s->page == NULL && strcmp(path, "/") == 0)
    refuse(x, 200,
           "sotto serves its API here, under /v1/. It has no page: build it with `make app`, or say where it is with "
           "--page.\n");
  else
    refuse(x, 404, "There is no such file.\n");
}
