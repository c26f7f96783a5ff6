/* A folder as on Hugging Face: which kind of model it is, and where its tensors lie. */
#include "quantizer.h"

const file_tensor *plan_find_tensor(const quantizer *q, const char *name, int32_t *file) {
  /* Models that also see keep their text part under another name; checkpoints of a bare network leave the first part out. */
  static const char *const prefixes[] = {"", "language_model.", "model.language_model."};
  const char *bare = strncmp(name, "model.", 6) == 0 ? name + 6 : name;
  for (size_t i = 0; i < q->n_files; i++) {
    const source_file *f = &q->files[i];
    if (f->safetensors == NULL) continue;
    for (uint32_t j = 0; j < safetensors_n_tensors(f->safetensors); j++) {
      const file_tensor *t = safetensors_tensor(f->safetensors, j);
      bool same = strcmp(t->name, bare) == 0;
      for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes && !same; k++) {
        const size_t n = strlen(prefixes[k]);
        same = strncmp(t->name, prefixes[k], n) == 0 && strcmp(t->name + n, k == 2 ? bare : name) == 0;
      }
      if (!same) continue;
      *file = (int32_t)i;
      return t;
    }
  }
  return NULL;
}

sotto_status plan_from_folder(quantizer *q, error *err) {
  const source_file *f = quantizer_text(q, "config.json");
  json *config = NULL;
  TRY(json_parse(&config, (const char *)f->text.at, f->text.size, "config.json", err));
  const bool speech = json_is(config, json_get(config, json_root(config), "model_type"), "whisper");
  const sotto_status status = speech ? plan_from_whisper(q, config, err) : plan_from_gemma(q, err);
  json_close(config);
  return status;
}
