/* The description of a language model, for people and as JSON. */
#include <stdio.h>

#include "info_language.h"

typedef unsigned long long ull;

/* ---- for people ---- */

static void put_size(text *out, const char *before, uint64_t v, const char *after) {
  if (v > 0) text_format(out, "%s%llu%s", before, (ull)v, after);
}

static void put_title(const char *path, const description *d, text *out) {
  text_string(out, path);
  text_format(out, ": %s", d->architecture[0] ? d->architecture : d->format);
  if (d->name[0]) text_format(out, ", %s", d->name);
  if (d->quantization[0]) text_format(out, ", %s", d->quantization);
  if (d->split.n_parts > d->n_files) text_string(out, ", one part of several");
  text_format(out, "\n  format       %s", d->format);
  if (d->split.n_parts > d->n_files)
    text_format(out, ", part %u of %u (%u tensors in all)", (unsigned)d->split.part + 1, (unsigned)d->split.n_parts,
                (unsigned)d->split.n_tensors);
  else if (d->n_files > 1)
    text_format(out, ", %u files", (unsigned)d->n_files);
  text_string(out, "\n");
}

static void put_shape(const description *d, text *out) {
  if (d->n_layer > 0) {
    put_size(out, "  layers       ", d->n_layer, "");
    put_size(out, ", width ", d->d_model, "");
    put_size(out, ", feed-forward ", d->d_ff, "");
    text_string(out, "\n");
  }
  if (d->n_head > 0) {
    put_size(out, "  attention    ", d->n_head, " heads");
    put_size(out, ", ", d->n_head_kv, " for keys and values");
    put_size(out, ", each of ", d->head_dim, "");
    text_string(out, "\n");
  }
  if (d->n_ctx > 0) {
    put_size(out, "  context      ", d->n_ctx, " tokens");
    put_size(out, ", sliding window ", d->sliding_window, "");
    text_string(out, "\n");
  }
}

static void put_special(text *out, const char *name, int64_t id, bool *any) {
  if (id < 0) return;
  text_format(out, "%s%s %lld", *any ? ", " : "  special      ", name, (long long)id);
  *any = true;
}

static void put_tokenizer(const description *d, text *out) {
  if (d->n_vocab > 0)
    text_format(out, "  tokenizer    %s%s%llu tokens\n", d->tokenizer, d->tokenizer[0] ? ", " : "", (ull)d->n_vocab);
  bool any = false;
  put_special(out, "bos", d->tokens.bos, &any);
  put_special(out, "eos", d->tokens.eos, &any);
  put_special(out, "unk", d->tokens.unk, &any);
  put_special(out, "pad", d->tokens.pad, &any);
  if (any) text_string(out, "\n");
  for (int32_t i = 0; i < d->n_ends; i++)
    text_format(out, "%s%d %s", i > 0 ? ", " : "  ends at      ", (int)d->ends[i], d->end_names[i]);
  if (d->n_ends > 0) text_string(out, "\n");
  if (d->chats || d->chat_template_bytes > 0) {
    text_format(out, "  chat         %s", d->chats ? "its template is known" : "its template is not known");
    if (d->chat_template_bytes > 0) text_format(out, " (in the file: %llu bytes)", (ull)d->chat_template_bytes);
    text_string(out, "\n");
  }
}

static void put_memory(const description *d, text *out) {
  if (d->contexts[0].n_ctx == 0) return;
  text_string(out, "  memory       beside the weights, by context, with keys and values in f16 and in q8_0\n");
  for (size_t i = 0; i < INFO_CONTEXTS && d->contexts[i].n_ctx > 0; i++)
    text_format(out, "    %7d tokens %10.1f MB %10.1f MB\n", (int)d->contexts[i].n_ctx,
                (double)d->contexts[i].f16_bytes / 1e6, (double)d->contexts[i].q8_0_bytes / 1e6);
}

void info_put_text(const char *path, const description *d, text *out) {
  put_title(path, d, out);
  if (d->problem[0]) {
    text_string(out, "  not run here ");
    text_string(out, d->problem);
    text_string(out, "\n");
  }
  text_format(out, "  parameters   %.1f M\n", (double)d->tally.n_parameters / 1e6);
  put_shape(d, out);
  put_tokenizer(d, out);
  put_memory(d, out);
  text_format(out, "  weights      %llu tensors, %.1f MB in %.1f MB\n", (ull)d->tally.n_tensors,
              (double)d->tally.bytes / 1e6, (double)d->file_bytes / 1e6);
  tensor_tally_lines(&d->tally, out);
  if (d->request->metadata) text_string(out, "  metadata\n");
  text_bytes(out, d->metadata.data, d->metadata.size);
}

/* ---- JSON ---- */

static void put_names(const char *path, const description *d, text *out) {
  const struct {
    const char *name, *value;
  } texts[] = {{"file", path},
               {"format", d->format},
               {"name", d->name},
               {"architecture", d->architecture},
               {"quantization", d->quantization},
               {"tokenizer", d->tokenizer},
               {"problem", d->problem}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    text_format(out, "%c\"%s\":", i > 0 ? ',' : '{', texts[i].name);
    if (texts[i].value[0] != 0)
      json_string(out, texts[i].value, strlen(texts[i].value));
    else
      text_string(out, "null");
  }
}

static void put_numbers(const description *d, text *out) {
  const struct {
    const char *name;
    uint64_t value;
    bool may_be_unsaid;
  } numbers[] = {{"n_layer", d->n_layer, true},
                 {"d_model", d->d_model, true},
                 {"d_ff", d->d_ff, true},
                 {"n_head", d->n_head, true},
                 {"n_head_kv", d->n_head_kv, true},
                 {"head_dim", d->head_dim, true},
                 {"n_vocab", d->n_vocab, true},
                 {"n_ctx", d->n_ctx, true},
                 {"sliding_window", d->sliding_window, true},
                 {"part", d->split.n_parts > d->n_files ? d->split.part + 1 : 1, false},
                 {"n_parts", d->split.n_parts > 1 ? d->split.n_parts : 1, false},
                 {"n_files", d->n_files, false},
                 {"n_tensors", d->tally.n_tensors, false},
                 {"n_parameters", d->tally.n_parameters, false},
                 {"weight_bytes", d->tally.bytes, false},
                 {"file_bytes", d->file_bytes, false}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(out, ",\"%s\":", numbers[i].name);
    if (numbers[i].value > 0 || !numbers[i].may_be_unsaid)
      text_format(out, "%llu", (ull)numbers[i].value);
    else
      text_string(out, "null");
  }
}

static void put_tokens(const description *d, text *out) {
  const struct {
    const char *name;
    int64_t id;
  } tokens[] = {{"bos", d->tokens.bos}, {"eos", d->tokens.eos}, {"unk", d->tokens.unk}, {"pad", d->tokens.pad}};
  text_string(out, ",\"special_tokens\":{");
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
    text_format(out, "%s\"%s\":", i > 0 ? "," : "", tokens[i].name);
    if (tokens[i].id >= 0)
      text_format(out, "%lld", (long long)tokens[i].id);
    else
      text_string(out, "null");
  }
  text_string(out, "},\"end_tokens\":[");
  for (int32_t i = 0; i < d->n_ends; i++) {
    text_format(out, "%s{\"id\":%d,\"text\":", i > 0 ? "," : "", (int)d->ends[i]);
    json_string(out, d->end_names[i], strlen(d->end_names[i]));
    text_string(out, "}");
  }
  text_format(out, "],\"chat_template_known\":%s,\"chat_template_bytes\":%llu", d->chats ? "true" : "false",
              (ull)d->chat_template_bytes);
}

void info_put_json(const char *path, const description *d, text *out) {
  put_names(path, d, out);
  put_numbers(d, out);
  put_tokens(d, out);
  text_string(out, ",\"contexts\":[");
  for (size_t i = 0; i < INFO_CONTEXTS && d->contexts[i].n_ctx > 0; i++)
    text_format(out, "%s{\"n_ctx\":%d,\"f16_bytes\":%llu,\"q8_0_bytes\":%llu}", i > 0 ? "," : "",
                (int)d->contexts[i].n_ctx, (ull)d->contexts[i].f16_bytes, (ull)d->contexts[i].q8_0_bytes);
  text_string(out, "]");
  tensor_tally_json(&d->tally, out);
  if (d->request->metadata) {
    text_string(out, ",\"metadata\":{");
    text_bytes(out, d->metadata.data, d->metadata.size);
    text_string(out, "}");
  }
  text_string(out, "}\n");
}
