/* Streaming reader of WAV files (RIFF, RF64, BW64).
 *
 *     bytes ─> [RIFF size WAVE] ─> [chunk id, size] ─> fmt, ds64: collected ─> next chunk
 *                                                   ─> others: skipped      ─> next chunk
 *                                                   ─> data: samples        ─> frames [n, channels]; the rest is left
 *
 * The reader holds a few bytes at a time, whatever sizes the file claims. A data chunk of unknown size (a file that was
 * written to a pipe) goes to the end of the file, and one that is cut off gives the frames that are there. */
#include "../base/base.h"
#include "sample.h"

enum {
  RIFF_BYTES = 12,
  CHUNK_BYTES = 8,
  FORMAT_BYTES = 16,
  EXTENSIBLE_BYTES = 40,
  DS64_BYTES = 24, /* sizes of the file and of the data, count of frames; a table of other chunks may follow */
  MAX_CHANNELS = 32,
  MAX_FRAME_BYTES = MAX_CHANNELS * 8,
};

enum { TAG_PCM = 1, TAG_FLOAT = 3, TAG_A_LAW = 6, TAG_MU_LAW = 7, TAG_EXTENSIBLE = 0xFFFE };

static const uint32_t SIZE_UNKNOWN = 0xFFFFFFFF;

typedef enum stage { AT_RIFF, AT_CHUNK, AT_FORMAT, AT_DS64, SKIPPING, AT_DATA, FINISHED } stage;

struct sotto_wav {
  stage stage;
  uint8_t held[MAX_FRAME_BYTES]; /* bytes of something that is not complete yet */
  size_t n_held;
  uint64_t position; /* of the next byte in the file */
  uint64_t left;     /* bytes of the chunk, after those held or used */
  bool padded;       /* a pad byte follows the chunk */
  bool endless;      /* the chunk goes to the end of the file */
  bool wide;         /* RF64, BW64 */
  uint32_t riff_size;
  uint64_t data_size; /* from ds64; 0: not known */
  sotto_wav_format format;
  int32_t tag; /* TAG_PCM, ...; 0: no format yet */
  size_t sample_bytes, frame_bytes;
  sotto_status status;
  error err;
};

sotto_status sotto_wav_open(sotto_wav **out) {
  if (!out) return SOTTO_ERR_ARGUMENT;
  *out = mem_alloc(1, sizeof **out);
  return *out ? SOTTO_OK : SOTTO_ERR_MEMORY;
}

void sotto_wav_close(sotto_wav *w) { mem_free(w); }

const sotto_wav_format *sotto_wav_format_of(const sotto_wav *w) {
  return w && (w->stage == AT_DATA || w->stage == FINISHED) ? &w->format : NULL;
}

const char *sotto_wav_error(const sotto_wav *w) { return w ? w->err.text : ""; }

static bool is_id(const uint8_t *bytes, const char *id) { return memcmp(bytes, id, 4) == 0; }

/* ---- headers ---- */

/* What else the first 12 bytes may be the start of; NULL when nothing known. */
static const char *foreign_kind(const uint8_t *p) {
  bool id3 = memcmp(p, "ID3", 3) == 0, sync = p[0] == 0xFF && (p[1] & 0xE0) == 0xE0;
  if (sync && (p[1] & 0x06) == 0) return "an AAC";
  if (id3 || sync) return "an MP3";
  if (is_id(p, "fLaC")) return "a FLAC";
  if (is_id(p, "OggS")) return "an Ogg";
  if (is_id(p + 4, "ftyp")) return "an MP4";
  if (is_id(p, "\x1A\x45\xDF\xA3")) return "a WebM or Matroska";
  if (is_id(p, "FORM")) return "an AIFF";
  if (is_id(p, "caff")) return "a CAF";
  if (is_id(p, "#!AM")) return "an AMR";
  if (is_id(p, ".snd")) return "an AU";
  if (is_id(p, "riff")) return "a Wave64";
  if (is_id(p, "RIFX")) return "a big-endian RIFX";
  if (is_id(p, "RIFF") && is_id(p + 8, "AVI ")) return "an AVI";
  return NULL;
}

static sotto_status read_riff(sotto_wav *w) {
  const uint8_t *p = w->held;
  w->wide = is_id(p, "RF64") || is_id(p, "BW64");
  if ((w->wide || is_id(p, "RIFF")) && is_id(p + 8, "WAVE")) {
    w->riff_size = load_u32(p + 4);
    w->stage = AT_CHUNK;
    return SOTTO_OK;
  }
  const char *kind = foreign_kind(p);
  if (kind) {
    return fail(&w->err, SOTTO_ERR_UNSUPPORTED, "this is %s file, not WAV: decode it with another tool first", kind);
  }
  return fail(&w->err, SOTTO_ERR_FORMAT, "this is not a WAV file: it does not start with RIFF and WAVE");
}

static const char *tag_name(int32_t tag) {
  switch (tag) {
    case 0x02:
      return "Microsoft ADPCM";
    case 0x11:
      return "IMA ADPCM";
    case 0x31:
      return "GSM 6.10";
    case 0x50:
      return "MPEG audio";
    case 0x55:
      return "MP3";
    case 0xFF:
      return "AAC";
    default:
      return "an encoding that is not known here";
  }
}

/* `size` bytes of the fmt chunk, 16 or 40, are held. */
static sotto_status read_format(sotto_wav *w, size_t size) {
  static const uint8_t GUID_TAIL[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71}; /* after the tag */
  const uint8_t *p = w->held;
  int32_t tag = load_u16(p), channels = load_u16(p + 2), block = load_u16(p + 12), bits = load_u16(p + 14);
  uint32_t rate = load_u32(p + 4);
  if (tag == TAG_EXTENSIBLE) {
    if (size < EXTENSIBLE_BYTES) {
      return fail(&w->err, SOTTO_ERR_FORMAT, "the extensible fmt chunk is too short: the file is damaged");
    }
    if (memcmp(p + 26, GUID_TAIL, sizeof GUID_TAIL) != 0) {
      return fail(&w->err, SOTTO_ERR_UNSUPPORTED,
                  "the extensible WAV file names an encoding that is not known here: convert "
                  "it to 16 bit PCM");
    }
    tag = load_u16(p + 24);
  }
  if (tag != TAG_PCM && tag != TAG_FLOAT && tag != TAG_A_LAW && tag != TAG_MU_LAW) {
    return fail(&w->err, SOTTO_ERR_UNSUPPORTED, "the WAV file holds %s (format 0x%x): convert it to 16 bit PCM",
                tag_name(tag), (unsigned)tag);
  }
  if (rate < 1 || rate > INT32_MAX) {
    return fail(&w->err, SOTTO_ERR_FORMAT, "the WAV file claims a sample rate of %u Hz: its header is damaged",
                (unsigned)rate);
  }
  if (channels < 1) return fail(&w->err, SOTTO_ERR_FORMAT, "the WAV file claims 0 channels: its header is damaged");
  if (channels > MAX_CHANNELS) {
    return fail(&w->err, SOTTO_ERR_UNSUPPORTED,
                "the WAV file has %d channels, and at most %d are read: mix it down first", (int)channels,
                MAX_CHANNELS);
  }
  bool known = tag == TAG_PCM ? bits >= 1 && bits <= 32 : tag == TAG_FLOAT ? bits == 32 || bits == 64 : bits == 8;
  if (!known) {
    return fail(&w->err, SOTTO_ERR_UNSUPPORTED,
                "the WAV file has samples of %d bits, which this encoding does not have here: "
                "convert it to 16 bit PCM",
                (int)bits);
  }
  int32_t sample_bytes = (bits + 7) / 8;
  if (block != 0 && block != channels * sample_bytes) {
    return fail(&w->err, SOTTO_ERR_FORMAT,
                "the WAV file claims frames of %d bytes, but %d channels of %d bits need %d: its "
                "header is damaged",
                (int)block, (int)channels, (int)bits, (int)(channels * sample_bytes));
  }
  w->tag = tag;
  w->sample_bytes = (size_t)sample_bytes;
  w->frame_bytes = (size_t)(channels * sample_bytes);
  w->format =
      (sotto_wav_format){.rate = (int32_t)rate, .channels = channels, .bits = bits, .is_float = tag == TAG_FLOAT};
  return SOTTO_OK;
}

/* The header of a data chunk of `size` has been read: how far do its samples go? */
static sotto_status begin_data(sotto_wav *w, uint32_t size) {
  if (w->tag == 0)
    return fail(&w->err, SOTTO_ERR_FORMAT, "the WAV file has no fmt chunk before its samples: it is damaged");
  w->left = size;
  if (size == SIZE_UNKNOWN && w->wide && w->data_size != 0) {
    w->left = w->data_size;
  } else if (size == SIZE_UNKNOWN) {
    w->endless = true;
  } else if (size == 0) {
    /* either no samples, or a header that was never completed: then the size of the whole has nothing behind this chunk
     * either */
    w->endless = w->riff_size == SIZE_UNKNOWN || (uint64_t)w->riff_size + 8 <= w->position;
  }
  w->format.n_frames = w->endless ? 0 : w->left / w->frame_bytes;
  w->stage = w->endless || w->left > 0 ? AT_DATA : FINISHED;
  return SOTTO_OK;
}

static sotto_status begin_chunk(sotto_wav *w) {
  const uint8_t *p = w->held;
  uint32_t size = load_u32(p + 4);
  w->left = size;
  w->padded = size & 1;
  w->endless = false;
  if (is_id(p, "data")) return begin_data(w, size);
  if (is_id(p, "fmt ")) {
    if (size < FORMAT_BYTES)
      return fail(&w->err, SOTTO_ERR_FORMAT, "the fmt chunk of the WAV file is too short: it is damaged");
    w->stage = AT_FORMAT;
  } else if (w->wide && is_id(p, "ds64") && size >= DS64_BYTES) {
    w->stage = AT_DS64;
  } else {
    w->stage = SKIPPING;
  }
  return SOTTO_OK;
}

/* Bytes that the stage wants to see together. */
static size_t wanted_bytes(const sotto_wav *w, size_t held_of_chunk) {
  uint64_t chunk = w->left + held_of_chunk;
  switch (w->stage) {
    case AT_RIFF:
      return RIFF_BYTES;
    case AT_CHUNK:
      return CHUNK_BYTES;
    case AT_FORMAT:
      return chunk >= EXTENSIBLE_BYTES ? EXTENSIBLE_BYTES : FORMAT_BYTES;
    default:
      return DS64_BYTES;
  }
}

/* Takes bytes of a header, and acts when it is complete. */
static sotto_status take_header(sotto_wav *w, const uint8_t *bytes, size_t size, size_t *taken) {
  bool in_chunk = w->stage == AT_FORMAT || w->stage == AT_DS64;
  size_t wanted = wanted_bytes(w, in_chunk ? w->n_held : 0);
  size_t count = min_size(wanted - w->n_held, size);
  memcpy(w->held + w->n_held, bytes, count);
  w->n_held += count;
  w->position += count;
  if (in_chunk) w->left -= count;
  *taken = count;
  if (w->n_held < wanted) return SOTTO_OK;
  w->n_held = 0;
  if (w->stage == AT_RIFF) return read_riff(w);
  if (w->stage == AT_CHUNK) return begin_chunk(w);
  if (w->stage == AT_FORMAT)
    TRY(read_format(w, wanted));
  else
    w->data_size = load_u64(w->held + 8);
  w->stage = SKIPPING;
  return SOTTO_OK;
}

/* Passes over the rest of a chunk and its pad byte. */
static size_t skip_chunk(sotto_wav *w, size_t size) {
  uint64_t rest = w->left + w->padded;
  size_t count = rest < size ? (size_t)rest : size;
  if (count > w->left) w->padded = false;
  w->left -= count < w->left ? count : w->left;
  w->position += count;
  if (w->left == 0 && !w->padded) w->stage = AT_CHUNK;
  return count;
}

/* ---- samples ---- */

/* The logarithmic codes of ITU-T G.711: sign, 3 bits of exponent, 4 of mantissa. */
static float mu_law(uint8_t code) {
  code = (uint8_t)~code;
  int32_t magnitude = (((code & 15) * 2 + 33) << (code >> 4 & 7)) - 33; /* of 8159 at most; full scale is 8192 */
  return (float)(code & 0x80 ? -magnitude : magnitude) / 8192.0f;
}

static float a_law(uint8_t code) {
  code ^= 0x55;
  int32_t exponent = code >> 4 & 7, magnitude = (code & 15) * 2 + 1;
  if (exponent > 0) magnitude = (magnitude + 32) << (exponent - 1);
  return (float)(code & 0x80 ? magnitude : -magnitude) / 4096.0f;
}

static float load_f64(const uint8_t *p) {
  double v;
  memcpy(&v, p, sizeof v);
  return v >= -1e9 && v <= 1e9 ? (float)v : 0.0f; /* as sample_or_zero */
}

static void convert(const sotto_wav *w, const uint8_t *p, size_t n, float *out) {
  const size_t step = w->sample_bytes;
  for (size_t i = 0; i < n; i++, p += step) {
    if (w->tag == TAG_A_LAW)
      out[i] = a_law(*p);
    else if (w->tag == TAG_MU_LAW)
      out[i] = mu_law(*p);
    else if (w->tag == TAG_FLOAT)
      out[i] = step == 4 ? sample_or_zero(load_f32(p)) : load_f64(p);
    else if (step == 1)
      out[i] = (float)(*p - 128) / 128.0f;
    else if (step == 2)
      out[i] = (float)(int16_t)load_u16(p) / 32768.0f;
    else if (step == 3)
      out[i] = (float)(int32_t)((uint32_t)load_u16(p) << 8 | (uint32_t)p[2] << 24) / 2147483648.0f;
    else
      out[i] = (float)(int32_t)load_u32(p) / 2147483648.0f;
  }
}

/* Takes bytes of samples and writes whole frames; a frame in two pieces is put together in `held`. */
static size_t take_data(sotto_wav *w, const uint8_t *bytes, size_t size, float *frames, size_t capacity,
                        size_t *written) {
  const size_t channels = (size_t)w->format.channels;
  size_t used = 0, n_frame;
  if (!w->endless && w->left < size) size = (size_t)w->left;
  if (w->n_held > 0 || size < w->frame_bytes) {
    used = min_size(w->frame_bytes - w->n_held, size);
    if (w->n_held + used == w->frame_bytes && capacity < channels) return 0;
    memcpy(w->held + w->n_held, bytes, used);
    w->n_held += used;
    n_frame = w->n_held == w->frame_bytes;
    if (n_frame) {
      convert(w, w->held, channels, frames);
      w->n_held = 0;
    }
  } else {
    n_frame = min_size(size / w->frame_bytes, capacity / channels);
    convert(w, bytes, n_frame * channels, frames);
    used = n_frame * w->frame_bytes;
  }
  *written += n_frame * channels;
  if (!w->endless) {
    w->left -= used;
    if (w->left == 0) w->stage = FINISHED;
  }
  return used;
}

static sotto_status at_end(sotto_wav *w) {
  if (w->stage == AT_DATA || w->stage == FINISHED) return SOTTO_OK;
  if (w->position == 0 && w->n_held == 0) return fail(&w->err, SOTTO_ERR_FORMAT, "the file is empty");
  if (w->stage == AT_RIFF) return fail(&w->err, SOTTO_ERR_FORMAT, "the file is too short to be a WAV file");
  return fail(&w->err, SOTTO_ERR_FORMAT, "the WAV file ends before its samples: it is cut off, fetch it again");
}

static sotto_status read_bytes(sotto_wav *w, const uint8_t *bytes, size_t size, size_t *taken, float *frames,
                               size_t capacity, size_t *written) {
  while (*taken < size) {
    const uint8_t *at = bytes + *taken;
    size_t rest = size - *taken, count = 0;
    if (w->stage == FINISHED) {
      count = rest;
    } else if (w->stage == SKIPPING) {
      count = skip_chunk(w, rest);
    } else if (w->stage == AT_DATA) {
      size_t channels = (size_t)w->format.channels;
      if (capacity > 0 && capacity < channels) {
        return fail(&w->err, SOTTO_ERR_ARGUMENT,
                    "a frame of %zu channels does not fit a buffer of %zu samples: give a larger one", channels,
                    capacity);
      }
      count = take_data(w, at, rest, frames + *written, capacity - *written, written);
      if (count == 0) break; /* no room for another frame */
    } else {
      TRY(take_header(w, at, rest, &count));
    }
    *taken += count;
  }
  return SOTTO_OK;
}

sotto_status sotto_wav_read(sotto_wav *w, const void *bytes, size_t size, size_t *taken, float *frames, size_t capacity,
                            size_t *written) {
  if (taken) *taken = 0;
  if (written) *written = 0;
  if (!w || !taken || !written || (!frames && capacity > 0)) return SOTTO_ERR_ARGUMENT;
  if (w->status < 0) return w->status;
  sotto_status status = bytes ? read_bytes(w, bytes, size, taken, frames, capacity, written) : at_end(w);
  if (status < 0 && status != SOTTO_ERR_ARGUMENT) w->status = status;
  return status;
}
