/* Reads SentencePiece's tokenizer.model.
 *
 *     ModelProto ─┬─ 1 pieces: 1 text, 2 score, 3 type ─> tokens, in order
 *                 ├─ 2 trainer: 3 model type, 24 space as suffix, 40..43 ids of unk, bos, eos, pad
 *                 └─ 3 normalizer: 2 character map, 3 dummy prefix, 4 remove extra spaces, 5 escape spaces
 *
 * Protocol buffers: a message is fields, a field a key (number << 3 | wire type) and a value: a varint (0), 8 bytes
 * (1), a length and as many bytes (2), 4 bytes (5). */
#include "../formats/foreign.h"
#include "spm_vocab.h"

#define BPE 2 /* of the trainer's model types */

typedef struct message {
  const unsigned char *at, *end;
} message;

typedef struct field {
  uint32_t number;
  uint64_t value; /* of a varint, or of 4 bytes */
  message body;   /* of a length and bytes; else empty */
} field;

static bool read_varint(message *m, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
    unsigned char byte = *m->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* Reads the next field. At the end of the message, or where it is broken (*ok becomes false), returns false. */
static bool next_field(message *m, field *f, bool *ok) {
  if (m->at == m->end) return false;
  uint64_t key, length = 0;
  *ok = false;
  if (!read_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
  *f = (field){.number = (uint32_t)(key >> 3)};
  switch (key & 7) {
    case 0:
      *ok = read_varint(m, &f->value);
      return *ok;
    case 1:
      length = 8;
      break;
    case 2:
      if (!read_varint(m, &length)) return false;
      break;
    case 5:
      length = 4;
      break;
    default:
      return false;
  }
  if (length > (uint64_t)(m->end - m->at)) return false;
  f->body = (message){m->at, m->at + length};
  if ((key & 7) == 5) f->value = load_u32(m->at);
  m->at += length;
  *ok = true;
  return true;
}

static sotto_status broken(error *err) {
  return fail(err, SOTTO_ERR_FORMAT, "the tokenizer.model is damaged or not whole: fetch it again");
}

static sotto_status read_piece(spm_vocab *v, message m, error *err) {
  field f;
  bool ok = true;
  message text = {m.at, m.at};
  uint32_t score_bits = 0;
  int32_t type = SPM_NORMAL;
  while (next_field(&m, &f, &ok)) {
    if (f.number == 1) text = f.body;
    if (f.number == 2) score_bits = (uint32_t)f.value;
    if (f.number == 3) type = (int32_t)f.value;
  }
  if (!ok) return broken(err);
  return spm_vocab_add(v, (const char *)text.at, (size_t)(text.end - text.at), load_f32(&score_bits), type, err);
}

static sotto_status read_trainer(message m, spm_settings *s, error *err) {
  field f;
  bool ok = true, suffix = false;
  uint64_t model_type = 1; /* unigram is what the format has by default */
  while (next_field(&m, &f, &ok)) {
    switch (f.number) {
      case 3:
        model_type = f.value;
        break;
      case 24:
        suffix = f.value != 0;
        break;
      case 40:
        s->unk = (int32_t)f.value;
        break;
      case 41:
        s->bos = (int32_t)f.value;
        break;
      case 42:
        s->eos = (int32_t)f.value;
        break;
      case 43:
        s->pad = (int32_t)f.value;
        break;
      default:
        break;
    }
  }
  if (!ok) return broken(err);
  if (model_type == BPE && !suffix) return SOTTO_OK;
  return fail(err, SOTTO_ERR_UNSUPPORTED,
              "this tokenizer.model is not of the byte-pair kind that Gemma has: use a Gemma model's");
}

static sotto_status read_normalizer(message m, spm_settings *s, error *err) {
  field f;
  bool ok = true, map = false, remove_extra = true, escape = true;
  s->dummy_prefix = true;
  while (next_field(&m, &f, &ok)) {
    switch (f.number) {
      case 2:
        map = f.body.at < f.body.end;
        break;
      case 3:
        s->dummy_prefix = f.value != 0;
        break;
      case 4:
        remove_extra = f.value != 0;
        break;
      case 5:
        escape = f.value != 0;
        break;
      default:
        break;
    }
  }
  if (!ok) return broken(err);
  if (!map && !remove_extra && escape) return SOTTO_OK;
  return fail(err, SOTTO_ERR_UNSUPPORTED,
              "this tokenizer.model changes text before it splits it, which Gemma's do not: use a Gemma model's");
}

static sotto_status read_all(spm_vocab *v, message m, error *err) {
  field f;
  bool ok = true;
  spm_settings s = {.unk = 0, .bos = 1, .eos = 2, .pad = -1}; /* the format's defaults */
  while (next_field(&m, &f, &ok)) {
    if (f.number == 1) TRY(read_piece(v, f.body, err));
    if (f.number == 2) TRY(read_trainer(f.body, &s, err));
    if (f.number == 3) TRY(read_normalizer(f.body, &s, err));
  }
  if (!ok) return broken(err);
  s.add_bos = s.bos >= 0;
  spm_vocab_set(v, &s);
  return spm_vocab_seal(v, err);
}

sotto_status spm_read_model(spm_vocab **out, const void *bytes, size_t size, error *err) {
  *out = NULL;
  const unsigned char *first = bytes;
  if (size == 0 || first[0] != (1 << 3 | 2)) { /* the key of a piece */
    return foreign_refuse(bytes, size, "SentencePiece", "give the tokenizer.model of a Gemma model", err);
  }
  spm_vocab *v = spm_vocab_open();
  if (!v) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  sotto_status status = read_all(v, (message){first, first + size}, err);
  if (status < 0) {
    spm_vocab_close(v);
    return status;
  }
  *out = v;
  return SOTTO_OK;
}
