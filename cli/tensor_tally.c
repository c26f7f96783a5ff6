#include "tensor_tally.h"

#include <stdio.h>

static void add_line(text *list, const char *name, const char *type, const char *shape, uint64_t bytes) {
  text_format(list, "    %-6s  %18s  %12.3f MB  ", type, shape, (double)bytes / 1e6);
  text_string(list, name);
  text_string(list, "\n");
}

static void add_json(text *list, const char *name, const char *type, const char *shape, uint64_t bytes) {
  text_string(list, list->size > 0 ? ",{\"name\":" : "{\"name\":");
  json_string(list, name, strlen(name));
  text_format(list, ",\"type\":\"%s\",\"shape\":[%s],\"bytes\":%llu}", type, shape, (unsigned long long)bytes);
}

void tensor_tally_add(tensor_tally *t, const char *name, uint32_t type, int32_t rank, const int64_t *dims,
                      uint64_t bytes) {
  char shape[4 * 22] = "";
  uint64_t n = 1;
  size_t used = 0;
  for (int32_t i = 0; i < rank; i++) {
    n *= (uint64_t)dims[i];
    used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i > 0 ? t->as_json ? "," : " x " : "",
                             (long long)dims[i]);
  }
  t->n_tensors++;
  t->n_parameters += n;
  t->bytes += bytes;
  t->types[type].n_tensors++;
  t->types[type].bytes += bytes;
  if (t->each) (t->as_json ? add_json : add_line)(&t->list, name, dtype_name(type), shape, bytes);
}

void tensor_tally_free(tensor_tally *t) {
  text_free(&t->list);
  *t = (tensor_tally){.n_tensors = 0};
}

uint32_t tensor_tally_most(const tensor_tally *t) {
  uint32_t most = 0;
  for (uint32_t i = 1; i < DTYPE_COUNT; i++)
    if (t->types[i].bytes > t->types[most].bytes) most = i;
  return most;
}

void tensor_tally_lines(const tensor_tally *t, text *out) {
  for (uint32_t i = 0; i < DTYPE_COUNT; i++) {
    if (t->types[i].n_tensors == 0) continue;
    text_format(out, "    %-6s     %4llu tensors, %9.3f MB\n", dtype_name(i), (unsigned long long)t->types[i].n_tensors,
                (double)t->types[i].bytes / 1e6);
  }
  if (t->each) text_string(out, "  tensors\n");
  text_bytes(out, t->list.data, t->list.size);
  out->failed = out->failed || t->list.failed;
}

void tensor_tally_json(const tensor_tally *t, text *out) {
  bool first = true;
  text_string(out, ",\"types\":[");
  for (uint32_t i = 0; i < DTYPE_COUNT; i++) {
    if (t->types[i].n_tensors == 0) continue;
    text_format(out, "%s{\"type\":\"%s\",\"n_tensors\":%llu,\"bytes\":%llu}", first ? "" : ",", dtype_name(i),
                (unsigned long long)t->types[i].n_tensors, (unsigned long long)t->types[i].bytes);
    first = false;
  }
  text_string(out, "]");
  if (t->each) {
    text_string(out, ",\"tensors\":[");
    text_bytes(out, t->list.data, t->list.size);
    text_string(out, "]");
  }
  out->failed = out->failed || t->list.failed;
}
