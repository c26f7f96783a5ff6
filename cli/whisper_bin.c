/* Whisper with random weights: the engine's own loader says which tensors there are.
 *
 *     shape ─> header ─> whisper: the list of tensors ─> header, filters, vocabulary, tensors of noise ─> file */
#include "whisper_bin.h"

#include <errno.h>
#include <math.h>

#include "../src/models/whisper_model.h"
#include "output.h"

enum { N_AUDIO_CTX = 1500, N_TEXT_CTX = 448, N_FFT = 201, HEADER_BYTES = 48, QUANTIZED_LAYOUT = 2000 };

static const whisper_shape shapes[] = {
    {"whisper-tiny", 384, 6, 4, 4, 51865, 80},
    {"whisper-small", 768, 12, 12, 12, 51865, 80},
    {"whisper-large-v3-turbo", 1280, 20, 32, 4, 51866, 128},
};

const whisper_shape *whisper_shape_find(const char *name) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
  return NULL;
}

static void put(output *o, const void *bytes, size_t size) { fwrite(bytes, 1, size, o->file); } /* errors: at the end */

static void put_u32(output *o, uint32_t v) {
  const uint8_t bytes[] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
  put(o, bytes, sizeof bytes);
}

static void make_header(uint8_t out[HEADER_BYTES], const whisper_shape *s, uint32_t file_type) {
  const int32_t fields[] = {s->n_vocab,        N_AUDIO_CTX, s->d,      s->n_head,       s->n_audio_layer,
                            N_TEXT_CTX,        s->d,        s->n_head, s->n_text_layer, s->n_mel,
                            (int32_t)file_type};
  memcpy(out, "lmgg", 4);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (int byte = 0; byte < 4; byte++) out[4 + 4 * i + byte] = (uint8_t)(fields[i] >> 8 * byte);
}

/* Hz of a place on Slaney's mel scale: linear to 1000 Hz, which is 15, then by powers. */
static double mel_hz(double place) { return place < 15 ? place * 200 / 3 : 1000 * pow(6.4, (place - 15) / 27); }

/* Triangles as those of real models, so that a spectrogram costs what it costs with those. */
static void put_filters(output *o, int32_t n_mel) {
  const double top = 15 + 27 * log(8.0) / log(6.4); /* of 8000 Hz */
  float row[N_FFT];
  put_u32(o, (uint32_t)n_mel);
  put_u32(o, N_FFT);
  for (int32_t i = 0; i < n_mel; i++) {
    double hz[3];
    for (int32_t j = 0; j < 3; j++) hz[j] = mel_hz(top * (i + j) / (n_mel + 1));
    for (int32_t k = 0; k < N_FFT; k++) {
      const double at = 8000.0 * k / (N_FFT - 1);
      const double height = fmin((at - hz[0]) / (hz[1] - hz[0]), (hz[2] - at) / (hz[2] - hz[1]));
      row[k] = (float)(fmax(height, 0) * 2 / (hz[2] - hz[0]));
    }
    put(o, row, sizeof row);
  }
}

/* Bytes first, so that every text has tokens; the rest without meaning. The special ones need not be in a file. */
static void put_vocabulary(output *o, int32_t n_vocab) {
  const uint32_t n = n_vocab > 51864 ? 50257 : 50256;
  put_u32(o, n);
  for (uint32_t i = 0; i < n; i++) {
    char text[16] = {(char)i};
    const int size = i < 256 ? 1 : snprintf(text, sizeof text, " t%u", (unsigned)i);
    put_u32(o, (uint32_t)size);
    put(o, text, (size_t)size);
  }
}

static void put_tensor(output *o, const whisper_slot *s, uint32_t type, uint8_t *row, noise *z) {
  const bool convolution = s->kind == KIND_CONV, vector = s->kind == KIND_VECTOR;
  const size_t in = (size_t)s->in * (convolution ? 3 : 1), name_bytes = strlen(s->name);
  const bool gain = vector && strstr(s->name, "ln") != NULL && strstr(s->name, "weight") != NULL;
  put_u32(o, convolution ? 3 : vector ? 1 : 2);
  put_u32(o, (uint32_t)name_bytes);
  put_u32(o, type);
  if (convolution) put_u32(o, 3);
  put_u32(o, (uint32_t)s->in);
  if (!vector) put_u32(o, (uint32_t)s->out);
  put(o, s->name, name_bytes);
  for (int32_t i = 0; i < s->out; i++) {
    noise_rows(z, s, type, in, gain ? 1.0f : 0.0f, vector ? 0.1f : noise_limit(in), 1, row);
    put(o, row, dtype_row_bytes(type, in));
  }
}

static void put_model(output *o, const whisper *w, const whisper_shape *s, const uint8_t header[HEADER_BYTES],
                      uint32_t type, uint8_t *row, noise *z) {
  put(o, header, HEADER_BYTES);
  put_filters(o, s->n_mel);
  put_vocabulary(o, s->n_vocab);
  for (int32_t i = 0; i < w->n_slots; i++) {
    const whisper_slot *slot = &w->slots[i];
    const uint32_t dense = slot->kind == KIND_CONV && type != DTYPE_F32 ? DTYPE_F16 : DTYPE_F32;
    put_tensor(o, slot, slot->kind == KIND_MATRIX ? type : dense, row, z);
  }
}

static sotto_status no_file(error *err) {
  return fail(err, SOTTO_ERR_ARGUMENT, "it cannot be written: %s", strerror(errno));
}

sotto_status whisper_bin_write(const char *path, const whisper_shape *s, const recipe *r, noise *z, error *err) {
  if (r->file_type > 9)
    return fail(err, SOTTO_ERR_ARGUMENT, "Whisper files here are f32, f16, q8_0, q5_1, q5_0, q4_1 or q4_0, not %s",
                r->name);
  uint8_t header[HEADER_BYTES];
  make_header(header, s, r->file_type > 1 ? QUANTIZED_LAYOUT + r->file_type : r->file_type);
  whisper *w = whisper_open(NULL); /* no weights are loaded, so no backend is needed */
  uint8_t *row = mem_alloc((size_t)s->d * 4, sizeof(float));
  output o;
  sotto_status status = SOTTO_OK;
  if (w == NULL || row == NULL)
    status = fail(err, SOTTO_ERR_MEMORY, "out of memory");
  else if ((status = whisper_feed(w, header, sizeof header, err)) < 0)
    ; /* err says why */
  else if (!output_open(&o, path)) {
    status = no_file(err);
  } else {
    put_model(&o, w, s, header, r->type, row, z);
    if (ferror(o.file) || !output_commit(&o)) status = no_file(err);
    output_discard(&o);
  }
  mem_free(row);
  whisper_close(w);
  return status;
}
