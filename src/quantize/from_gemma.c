/* A Gemma's folder to a GGUF file: its loader says which tensors there are. */
#include <stdio.h>

#include "gemma_gguf.h"
#include "quantizer.h"

static sotto_status feed(gemma *g, const quantizer *q, const char *name, error *err) {
  const source_file *f = quantizer_text(q, name);
  if (f == NULL) return SOTTO_OK;
  TRY(gemma_file(g, name, err));
  TRY(gemma_feed(g, f->text.at, f->text.size, err));
  return gemma_file(g, "end.json", err); /* ends the file before it */
}

static sotto_status to_literal(void *context, const void *bytes, size_t size, error *err) {
  return plan_piece(context, bytes, size, err);
}

/* chat_template.jinja, or the template of tokenizer_config.json; *to is to be freed, NULL: there is none. */
static sotto_status read_template(const quantizer *q, char **to, size_t *bytes, error *err) {
  const source_file *f = quantizer_text(q, "chat_template.jinja"), *config = quantizer_text(q, "tokenizer_config.json");
  *to = NULL;
  *bytes = 0;
  if (f == NULL && config == NULL) return SOTTO_OK;
  json *j = NULL;
  if (f == NULL) TRY(json_parse(&j, (const char *)config->text.at, config->text.size, config->name, err));
  const uint32_t value = f == NULL ? json_get(j, json_root(j), "chat_template") : JSON_NONE;
  *bytes = f != NULL ? f->text.size : json_read_string(j, value, NULL, 0);
  *to = mem_alloc(*bytes + 1, 1);
  if (*to != NULL && f != NULL)
    memcpy(*to, f->text.at, *bytes);
  else if (*to != NULL)
    json_read_string(j, value, *to, *bytes);
  json_close(j);
  return *to != NULL ? SOTTO_OK : plan_no_memory(err);
}

static sotto_status find_source(const quantizer *q, const gemma_slot *s, planned_tensor *p, error *err) {
  const file_tensor *t = plan_find_tensor(q, s->hf_name, &p->file);
  const bool vector = s->vector != NULL;
  if (t == NULL)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s is missing: get the model's files again", s->hf_name);
  const bool fits =
      vector ? t->rank == 1 && t->dims[0] == s->in : t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
  if (!fits)
    return fail(err, SOTTO_ERR_FORMAT,
                "the shape of the tensor %s does not fit config.json: the files do not belong together", s->hf_name);
  p->name = s->gguf_name;
  p->offset = t->offset;
  p->source_type = t->type;
  p->rows = s->out;
  p->cols = s->in;
  p->plus_one = vector; /* these files store norms less 1 */
  return SOTTO_OK;
}

static uint32_t type_of(const quantizer *q, const gemma_gguf *f, const gemma_slot *s) {
  const uint32_t type = gemma_gguf_type(f, s);
  return s->vector != NULL ? type : plan_type(q, s->gguf_name, s->in, type);
}

static sotto_status plan_tensors(quantizer *q, const gemma_gguf *f, gguf_writer *w, error *err) {
  const gemma *g = f->model;
  for (int32_t i = 0; i < g->n_slots; i++) gemma_gguf_announce(w, &g->slots[i], type_of(q, f, &g->slots[i]));
  TRY(gguf_write_head(w, err));
  for (int32_t i = 0; i < g->n_slots; i++) {
    planned_tensor p = {.type = type_of(q, f, &g->slots[i])};
    TRY(find_source(q, &g->slots[i], &p, err));
    TRY(plan_tensor(q, &p, err));
    TRY(plan_padding(q, 32, err));
  }
  return SOTTO_OK;
}

static sotto_status plan_gemma(quantizer *q, gemma *g, error *err) {
  char *chat_template = NULL;
  size_t chat_template_bytes = 0;
  TRY(feed(g, q, "config.json", err));
  TRY(feed(g, q, "tokenizer.model", err));
  TRY(feed(g, q, "tokenizer.json", err));
  TRY(read_template(q, &chat_template, &chat_template_bytes, err));
  const gemma_gguf file = {.model = g,
                           .vocab = gemma_vocabulary(g),
                           .name = q->name,
                           .chat_template = chat_template,
                           .chat_template_bytes = chat_template_bytes,
                           .recipe = q->recipe};
  if (file.vocab == NULL)
    quantizer_warn(q, "there is no tokenizer.model or tokenizer.json, so the GGUF file gets no tokenizer");
  const gguf_output out = {q, to_literal};
  gguf_writer *w = gguf_write_open(&out);
  sotto_status status = w != NULL ? gemma_gguf_metadata(&file, w, err) : plan_no_memory(err);
  if (status >= 0) status = plan_tensors(q, &file, w, err);
  gguf_write_close(w);
  mem_free(chat_template);
  q->format = "gguf";
  snprintf(q->architecture, sizeof q->architecture, "%s", g->c.architecture);
  snprintf(q->model_name, sizeof q->model_name, "%s", q->name);
  return status;
}

sotto_status plan_from_gemma(quantizer *q, error *err) {
  gemma *g = gemma_open(NULL); /* no weights are loaded, so no backend is needed */
  const sotto_status status = g != NULL ? plan_gemma(q, g, err) : plan_no_memory(err);
  gemma_close(g);
  return status;
}
