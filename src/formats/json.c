/* Reader of JSON texts: one pass checks and indexes, with a stack of open arrays and objects; accessors read the text again.
 *
 *     count of , : [ {  ─> room for all nodes ─> pass ─> nodes
 *
 * Each value but the first follows one of these four bytes, so their number bounds that of the nodes, and one allocation does. */
#include "json.h"

enum { MAX_DEPTH = 128 };

typedef struct json_node {
  uint32_t at;   /* of its first byte, which tells the kind */
  uint32_t next; /* the node after it and all within it */
} json_node;

struct json {
  const uint8_t *text;
  uint32_t size, n_nodes;
  json_node *nodes;
};

/* ---- the pass ---- */

typedef struct reader {
  json *j;
  const uint8_t *text, *p, *end;
  const char *name;
  error *err;
} reader;

static sotto_status ends_early(const reader *r) {
  return fail(r->err, SOTTO_ERR_FORMAT,
              "%.100s ends in the middle of its JSON text: it is truncated; download it again", r->name);
}

/* `what` is wrong at r->p: a sentence with line and column, counted in characters from 1. */
static sotto_status wrong(const reader *r, const char *what) {
  if (r->p >= r->end) return ends_early(r);
  unsigned line = 1, column = 1;
  for (const uint8_t *p = r->text; p < r->p; p++) {
    if (*p == '\n') {
      line++;
      column = 1;
    } else if ((*p & 0xc0) != 0x80) {
      column++;
    }
  }
  return fail(r->err, SOTTO_ERR_FORMAT, "%.100s is not valid JSON: line %u, column %u: %s", r->name, line, column,
              what);
}

static void skip_space(reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) r->p++;
}

static int hex_digit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The four digits at p; -1: they are none. */
static int32_t hex4(const uint8_t *p) {
  int32_t v = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0) return -1;
    v = v << 4 | digit;
  }
  return v;
}

static sotto_status check_escape(reader *r) {
  const uint8_t *p = r->p; /* at the backslash */
  if (r->end - p < 2) return ends_early(r);
  if (p[1] != 'u') {
    if (p[1] == 0 || strchr("\"\\/bfnrt", p[1]) == NULL) return wrong(r, "an escape that JSON does not have");
    r->p += 2;
    return SOTTO_OK;
  }
  if (r->end - p < 6) return ends_early(r);
  int32_t unit = hex4(p + 2);
  if (unit < 0) return wrong(r, "\\u needs four hexadecimal digits");
  r->p += 6;
  if (unit < 0xd800 || unit > 0xdfff) return SOTTO_OK;
  bool paired = unit < 0xdc00 && (r->p == r->end || *r->p == '\\');
  if (paired && r->end - r->p < 6) return ends_early(r);
  int32_t second = paired && r->p[1] == 'u' ? hex4(r->p + 2) : -1;
  if (second < 0xdc00 || second > 0xdfff) {
    r->p = p;
    return wrong(r, "half of a surrogate pair");
  }
  r->p += 6;
  return SOTTO_OK;
}

/* The bytes of one character beyond ASCII, by the table of well-formed sequences. */
static sotto_status check_utf8(reader *r) {
  const uint8_t *p = r->p;
  uint8_t lead = p[0], low = 0x80, high = 0xbf; /* bounds of the second byte */
  int n = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (n == 0) return wrong(r, "bytes that are not UTF-8");
  if (lead == 0xe0) low = 0xa0;  /* overlong */
  if (lead == 0xed) high = 0x9f; /* surrogates */
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f; /* above U+10FFFF */
  for (int i = 1; i < n; i++) {
    if (r->end - p <= i) return ends_early(r);
    if (p[i] < low || p[i] > high) return wrong(r, "bytes that are not UTF-8");
    low = 0x80;
    high = 0xbf;
  }
  r->p += n;
  return SOTTO_OK;
}

static sotto_status check_string(reader *r) {
  r->p++;
  for (;;) {
    while (r->p < r->end && *r->p >= 0x20 && *r->p < 0x80 && *r->p != '"' && *r->p != '\\') r->p++;
    if (r->p >= r->end) return ends_early(r);
    if (*r->p == '"') {
      r->p++;
      return SOTTO_OK;
    }
    if (*r->p < 0x20) return wrong(r, "a control character in a string");
    if (*r->p == '\\')
      TRY(check_escape(r));
    else
      TRY(check_utf8(r));
  }
}

static bool is_digit(const reader *r) { return r->p < r->end && *r->p >= '0' && *r->p <= '9'; }

static sotto_status check_digits(reader *r) {
  if (!is_digit(r)) return wrong(r, "a digit is missing in a number");
  while (is_digit(r)) r->p++;
  return SOTTO_OK;
}

static sotto_status check_number(reader *r) {
  if (*r->p == '-') r->p++;
  if (r->p < r->end && *r->p == '0') {
    r->p++;
    if (is_digit(r)) return wrong(r, "a number that begins with 0");
  } else {
    TRY(check_digits(r));
  }
  if (r->p < r->end && *r->p == '.') {
    r->p++;
    TRY(check_digits(r));
  }
  if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
    r->p++;
    if (r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
    TRY(check_digits(r));
  }
  return SOTTO_OK;
}

static sotto_status check_word(reader *r, const char *word) {
  size_t n = strlen(word), left = (size_t)(r->end - r->p);
  if (memcmp(r->p, word, min_size(n, left)) != 0) return wrong(r, "a value is missing");
  if (left < n) return ends_early(r);
  r->p += n;
  return SOTTO_OK;
}

/* The node of the value at r->p; its `next` is right for all but arrays and objects. */
static uint32_t new_node(reader *r) {
  uint32_t i = r->j->n_nodes++;
  r->j->nodes[i] = (json_node){(uint32_t)(r->p - r->text), i + 1};
  return i;
}

static sotto_status read_scalar(reader *r) {
  if (r->p >= r->end) return ends_early(r);
  uint8_t c = *r->p;
  new_node(r);
  if (c == '"') return check_string(r);
  if (c == '-' || (c >= '0' && c <= '9')) return check_number(r);
  return check_word(r, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

static sotto_status read_key(reader *r) {
  skip_space(r);
  if (r->p >= r->end || *r->p != '"') return wrong(r, "a key in quotes is missing");
  new_node(r);
  TRY(check_string(r));
  skip_space(r);
  if (r->p >= r->end || *r->p != ':') return wrong(r, "a colon is missing behind a key");
  r->p++;
  return SOTTO_OK;
}

static sotto_status read_text(reader *r) {
  uint32_t open[MAX_DEPTH]; /* nodes of the arrays and objects around r->p */
  int depth = 0;
  json_node *nodes = r->j->nodes;
  do {
    skip_space(r);
    bool opened = r->p < r->end && (*r->p == '{' || *r->p == '['), empty = false;
    if (opened) {
      if (depth == MAX_DEPTH) return wrong(r, "arrays and objects are nested too deeply");
      open[depth++] = new_node(r);
      uint8_t closing = (uint8_t)(*r->p++ + 2); /* of both kinds */
      skip_space(r);
      empty = r->p < r->end && *r->p == closing;
      if (!empty && closing == '}') TRY(read_key(r));
    } else {
      TRY(read_scalar(r));
    }
    if (opened && !empty) continue; /* to its first child */

    while (depth > 0) { /* closes all that ends here */
      uint8_t closing = (uint8_t)(r->text[nodes[open[depth - 1]].at] + 2);
      skip_space(r);
      if (r->p < r->end && *r->p == ',') {
        r->p++;
        if (closing == '}') TRY(read_key(r));
        break;
      }
      if (r->p >= r->end || *r->p != closing)
        return wrong(r, closing == '}' ? "a comma or } is missing" : "a comma or ] is missing");
      r->p++;
      nodes[open[--depth]].next = r->j->n_nodes;
    }
  } while (depth > 0);
  skip_space(r);
  return r->p == r->end ? SOTTO_OK : wrong(r, "more text follows behind the value");
}

sotto_status json_parse(json **out, const char *text, size_t size, const char *name, error *err) {
  *out = NULL;
  if (size >= UINT32_MAX) return fail(err, SOTTO_ERR_FORMAT, "%.100s is too large for a JSON text", name);
  size_t n = 1;
  for (size_t i = 0; i < size; i++) n += (text[i] == ',') + (text[i] == ':') + (text[i] == '[') + (text[i] == '{');
  json *j = mem_alloc(1, sizeof *j);
  if (j != NULL) j->nodes = mem_alloc(n, sizeof *j->nodes);
  if (j == NULL || j->nodes == NULL) {
    json_close(j);
    return fail(err, SOTTO_ERR_MEMORY, "no memory to read %.100s; close other programs or tabs", name);
  }
  j->text = (const uint8_t *)text;
  j->size = (uint32_t)size;
  reader r = {j, j->text, j->text, j->text + size, name, err};
  sotto_status status = read_text(&r);
  if (status < 0)
    json_close(j);
  else
    *out = j;
  return status;
}

void json_close(json *j) {
  if (j == NULL) return;
  mem_free(j->nodes);
  mem_free(j);
}

/* ---- accessors ---- */

json_kind json_kind_of(const json *j, uint32_t value) {
  if (value >= j->n_nodes) return JSON_MISSING;
  switch (j->text[j->nodes[value].at]) {
    case '{':
      return JSON_OBJECT;
    case '[':
      return JSON_ARRAY;
    case '"':
      return JSON_STRING;
    case 't':
      return JSON_TRUE;
    case 'f':
      return JSON_FALSE;
    case 'n':
      return JSON_NULL;
    default:
      return JSON_NUMBER;
  }
}

json_walk json_children(const json *j, uint32_t value) {
  json_kind kind = json_kind_of(j, value);
  json_walk w = {j, JSON_NONE, JSON_NONE, 0, 0, kind == JSON_OBJECT};
  if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
    w.at = value + 1;
    w.end = j->nodes[value].next;
  }
  return w;
}

bool json_next(json_walk *w) {
  if (w->at >= w->end) return false;
  if (w->object) w->key = w->at++;
  w->value = w->at;
  w->at = w->j->nodes[w->value].next;
  return true;
}

uint32_t json_count(const json *j, uint32_t value) {
  uint32_t n = 0;
  for (json_walk w = json_children(j, value); json_next(&w);) n++;
  return n;
}

uint32_t json_get(const json *j, uint32_t object, const char *key) {
  uint32_t found = JSON_NONE;
  for (json_walk w = json_children(j, object); w.object && json_next(&w);)
    if (json_is(j, w.key, key)) found = w.value;
  return found;
}

static size_t encode_utf8(uint32_t c, char *to) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3f));
  to[0] = (char)((0xf00u >> n & 0xffu) | c); /* n ones in front */
  return n;
}

/* The next piece of a checked string whose rest is at *p: its bytes, in the text or in `escaped`; 0 at the end. */
static size_t next_piece(const uint8_t **p, char escaped[4], const char **piece) {
  static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
  const uint8_t *start = *p;
  while (**p != '"' && **p != '\\') (*p)++;
  *piece = (const char *)start;
  if (*p > start || **p == '"') return (size_t)(*p - start);
  uint8_t letter = start[1];
  *piece = escaped;
  *p += 2;
  if (letter != 'u') {
    const char *at = strchr(letters, letter);
    escaped[0] = at != NULL ? meant[at - letters] : (char)letter;
    return 1;
  }
  uint32_t c = (uint32_t)hex4(*p);
  *p += 4;
  if (c >= 0xd800 && c < 0xdc00) {
    c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)hex4(*p + 2) - 0xdc00);
    *p += 6;
  }
  return encode_utf8(c, escaped);
}

size_t json_read_string(const json *j, uint32_t value, char *to, size_t capacity) {
  if (json_kind_of(j, value) != JSON_STRING) return 0;
  const uint8_t *p = j->text + j->nodes[value].at + 1;
  const char *piece;
  char escaped[4];
  size_t size = 0;
  for (size_t n; (n = next_piece(&p, escaped, &piece)) > 0; size += n)
    if (size <= capacity && n <= capacity - size) memcpy(to + size, piece, n);
  return size;
}

bool json_is(const json *j, uint32_t value, const char *string) {
  if (json_kind_of(j, value) != JSON_STRING) return false;
  const uint8_t *p = j->text + j->nodes[value].at + 1;
  const char *piece;
  char escaped[4];
  size_t left = strlen(string);
  for (size_t n; (n = next_piece(&p, escaped, &piece)) > 0; string += n, left -= n)
    if (n > left || memcmp(string, piece, n) != 0) return false;
  return left == 0;
}

/* ---- numbers ---- */

static double power_of_ten(int n) {
  static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  double power = 1;
  for (; n > 22; n -= 22) power *= 1e22;
  return power * powers[n];
}

bool json_read_number(const json *j, uint32_t value, double *out) {
  if (json_kind_of(j, value) != JSON_NUMBER) return false;
  const uint8_t *p = j->text + j->nodes[value].at, *end = j->text + j->size;
  bool negative = *p == '-', point = false;
  uint64_t digits = 0;
  int exponent = 0; /* of ten, that the digits are short of or have too much */
  for (p += negative; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
    if (*p == '.') {
      point = true;
    } else if (digits < (UINT64_MAX - 9) / 10) {
      digits = digits * 10 + (uint64_t)(*p - '0');
      exponent -= point && exponent > -100000;
    } else if (!point && exponent < 100000) {
      exponent++;
    }
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    bool down = *p == '-';
    if (*p == '-' || *p == '+') p++;
    int given = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) given = given < 100000 ? given * 10 + (*p - '0') : given;
    exponent += down ? -given : given;
  }
  double v = (double)digits;
  if (digits == 0) exponent = 0;
  if (exponent > 330) return false;
  if (exponent < -400) v = 0;
  if (exponent >= 0) {
    v *= power_of_ten(exponent);
  } else if (exponent >= -400) { /* in two steps: 10^-330 is no normal number, nor is its inverse */
    int first = -exponent < 300 ? -exponent : 300;
    v /= power_of_ten(first);
    v /= power_of_ten(-exponent - first);
  }
  if (v > 1.7976931348623157e308) return false;
  *out = negative ? -v : v;
  return true;
}

bool json_read_integer(const json *j, uint32_t value, int64_t *out) {
  if (json_kind_of(j, value) != JSON_NUMBER) return false;
  const uint8_t *p = j->text + j->nodes[value].at, *end = j->text + j->size;
  bool negative = *p == '-';
  uint64_t limit = (uint64_t)INT64_MAX + negative, v = 0;
  for (p += negative; p < end && *p >= '0' && *p <= '9'; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    if (v > (limit - digit) / 10) return false;
    v = v * 10 + digit;
  }
  if (p < end && (*p == '.' || *p == 'e' || *p == 'E')) return false;
  *out = negative ? (int64_t)(0 - v) : (int64_t)v;
  return true;
}
