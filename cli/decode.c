#include "decode.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/sotto.h"
#include "sniff.h"
#include "vendor/config.h"

#include "vendor/dr_flac.h"
#include "vendor/dr_mp3.h"
#define STB_VORBIS_HEADER_ONLY
#include "vendor/stb_vorbis.h"

#define HEAD_BYTES          (64 << 10)
#define VORBIS_MEMORY_BYTES (4 << 20)  /* all that its decoder may use: real files need some 200 KiB */
#define VORBIS_MAX_PACKET   (16 << 20) /* its headers can hold a cover picture */

struct decoder {
  decoder_read_bytes *read;
  void *context;
  bool at_end; /* of the callback's bytes */
  sniffed kind;
  char problem[256];
  bool failed;

  /* one of these is open */
  sotto_wav *wav;
  drmp3 *mp3;
  drflac *flac;
  stb_vorbis *vorbis;
  void *vorbis_memory;
  float **vorbis_samples; /* [channels][vorbis_n], of the packet decoded last; from vorbis_at on not yet handed out */
  int vorbis_n, vorbis_at;

  /* bytes that were read and not yet decoded: data[begin, end) */
  uint8_t *data;
  size_t begin, end, capacity;
};

static void set_problem(decoder *d, const char *sentence) {
  if (d->failed) return;
  d->failed = true;
  snprintf(d->problem, sizeof d->problem, "%s", sentence);
}

/* ---- bytes ---- */

/* Moves what is left to the front and reads until the buffer is full or the file ends. False: nothing was added. */
static bool refill(decoder *d) {
  size_t before = d->end - d->begin;
  if (d->begin > 0) memmove(d->data, d->data + d->begin, before);
  d->begin = 0;
  d->end = before;
  while (!d->at_end && d->end < d->capacity) {
    size_t n = d->read(d->context, d->data + d->end, d->capacity - d->end);
    if (n == 0) d->at_end = true;
    d->end += n;
  }
  return d->end > before;
}

/* Doubles the buffer, up to `most`. */
static bool grow(decoder *d, size_t most) {
  if (d->capacity >= most) return false;
  uint8_t *data = realloc(d->data, d->capacity * 2);
  if (data == NULL) return false;
  d->data = data;
  d->capacity *= 2;
  return true;
}

/* The next bytes, as many as asked for but at the end of the file. */
static size_t take(decoder *d, void *bytes, size_t size) {
  size_t taken = 0;
  while (taken < size) {
    if (d->begin == d->end && !refill(d)) break;
    size_t n = d->end - d->begin < size - taken ? d->end - d->begin : size - taken;
    if (bytes != NULL) memcpy((uint8_t *)bytes + taken, d->data + d->begin, n);
    d->begin += n;
    taken += n;
  }
  return taken;
}

/* ---- wav ---- */

static void wav_start(decoder *d) {
  if (sotto_wav_open(&d->wav) != SOTTO_OK) set_problem(d, "out of memory");
}

static size_t wav_frames(decoder *d, float *frames, size_t capacity, decoder_format *format) {
  for (;;) {
    if (d->begin == d->end) refill(d);
    size_t size = d->end - d->begin, taken = 0, written = 0;
    const uint8_t *bytes = size > 0 ? d->data + d->begin : NULL;
    if (sotto_wav_read(d->wav, bytes, size, &taken, frames, capacity, &written) < 0) {
      set_problem(d, sotto_wav_error(d->wav));
      return 0;
    }
    d->begin += taken;
    if (written > 0) {
      const sotto_wav_format *f = sotto_wav_format_of(d->wav);
      *format = (decoder_format){f->rate, f->channels};
      return written / (size_t)f->channels;
    }
    if (taken == 0) return 0; /* the end; or it wants no more */
  }
}

/* ---- mp3 ---- */

static size_t mp3_take(void *context, void *bytes, size_t size) { return take(context, bytes, size); }

static void mp3_start(decoder *d) {
  d->mp3 = malloc(sizeof *d->mp3);
  if (d->mp3 == NULL) {
    set_problem(d, "out of memory");
  } else if (!drmp3_init(d->mp3, mp3_take, NULL, NULL, NULL, d, NULL)) {
    free(d->mp3);
    d->mp3 = NULL;
    set_problem(d, "it looks like mp3, but no frame of it can be decoded");
  } else {
    /* The length that its header states is wrong in files that were cut or joined: read to the end instead. */
    d->mp3->totalPCMFrameCount = DRMP3_UINT64_MAX;
  }
}

/* The library reads on across frames as if all had the channels of the first, which joined files have not. So: one
 * sample to make it decode the next frame, then the rest of that frame under its own number of channels. */
static size_t mp3_frames(decoder *d, float *frames, size_t capacity, decoder_format *format) {
  drmp3 *m = d->mp3;
  size_t n = 0;
  if (m->pcmFramesRemainingInMP3Frame == 0) {
    n = (size_t)drmp3_read_pcm_frames_f32(m, 1, frames);
    if (n == 0) return 0;
    if (m->channels == 1 && m->mp3FrameChannels == 2) frames[1] = frames[0];
    m->channels = m->mp3FrameChannels;
  }
  size_t room = capacity / m->channels - n;
  if (room > m->pcmFramesRemainingInMP3Frame) room = m->pcmFramesRemainingInMP3Frame;
  if (room > 0) n += (size_t)drmp3_read_pcm_frames_f32(m, room, frames + n * m->channels);
  *format = (decoder_format){m->mp3FrameSampleRate, (int32_t)m->channels};
  return n;
}

/* ---- flac ---- */

static size_t flac_take(void *context, void *bytes, size_t size) { return take(context, bytes, size); }

static drflac_bool32 flac_skip(void *context, int offset, drflac_seek_origin origin) {
  if (origin != DRFLAC_SEEK_CUR || offset < 0) return DRFLAC_FALSE; /* only forward: it may be a pipe */
  return take(context, NULL, (size_t)offset) == (size_t)offset;
}

static void flac_start(decoder *d) {
  d->flac = drflac_open(flac_take, flac_skip, NULL, d, NULL);
  if (d->flac == NULL) set_problem(d, "its FLAC header is damaged or cut off");
}

static size_t flac_frames(decoder *d, float *frames, size_t capacity, decoder_format *format) {
  *format = (decoder_format){d->flac->sampleRate, d->flac->channels};
  return (size_t)drflac_read_pcm_frames_f32(d->flac, capacity / d->flac->channels, frames);
}

/* ---- vorbis ---- */

static void vorbis_start(decoder *d) {
  d->vorbis_memory = malloc(VORBIS_MEMORY_BYTES);
  if (d->vorbis_memory == NULL) {
    set_problem(d, "out of memory");
    return;
  }
  stb_vorbis_alloc memory = {d->vorbis_memory, VORBIS_MEMORY_BYTES};
  for (;;) { /* all headers have to be in the buffer at once */
    int used = 0, code = 0;
    d->vorbis = stb_vorbis_open_pushdata(d->data + d->begin, (int)(d->end - d->begin), &used, &code, &memory);
    if (d->vorbis != NULL) {
      d->begin += (size_t)used;
      return;
    }
    if (code != VORBIS_need_more_data || !grow(d, VORBIS_MAX_PACKET) || !refill(d)) {
      set_problem(d, "its Vorbis header is damaged or cut off");
      return;
    }
  }
}

static size_t vorbis_frames(decoder *d, float *frames, size_t capacity, decoder_format *format) {
  stb_vorbis_info info = stb_vorbis_get_info(d->vorbis);
  while (d->vorbis_at == d->vorbis_n) {
    d->vorbis_n = d->vorbis_at = 0;
    int used = stb_vorbis_decode_frame_pushdata(d->vorbis, d->data + d->begin, (int)(d->end - d->begin), NULL,
                                                &d->vorbis_samples, &d->vorbis_n);
    d->begin += (size_t)used;
    if (used == 0 && d->vorbis_n == 0 && !refill(d) && (d->at_end || !grow(d, VORBIS_MAX_PACKET))) return 0;
  }
  size_t channels = (size_t)info.channels, n = (size_t)(d->vorbis_n - d->vorbis_at);
  if (n > capacity / channels) n = capacity / channels;
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < channels; c++) frames[i * channels + c] = d->vorbis_samples[c][(size_t)d->vorbis_at + i];
  }
  d->vorbis_at += (int)n;
  *format = (decoder_format){info.sample_rate, info.channels};
  return n;
}

/* ---- the decoder ---- */

static const struct {
  const char *name;
  void (*start)(decoder *d);
  size_t (*frames)(decoder *d, float *frames, size_t capacity, decoder_format *format);
} kinds[] = {
    [SNIFFED_WAV] = {"wav", wav_start, wav_frames},
    [SNIFFED_MP3] = {"mp3", mp3_start, mp3_frames},
    [SNIFFED_FLAC] = {"flac", flac_start, flac_frames},
    [SNIFFED_OGG_FLAC] = {"flac", flac_start, flac_frames},
    [SNIFFED_VORBIS] = {"vorbis", vorbis_start, vorbis_frames},
};

/* Looks at the first bytes, behind any ID3 tags; leaves them in the buffer. */
static void find_kind(decoder *d) {
  const char *what = NULL;
  refill(d);
  if (d->end == 0) {
    set_problem(d, "the file is empty");
    return;
  }
  for (size_t tag; (tag = sniff_id3_bytes(d->data + d->begin, d->end - d->begin)) > 0;) {
    take(d, NULL, tag);
    refill(d);
  }
  d->kind = sniff(d->data + d->begin, d->end - d->begin, &what);
  if (d->kind == SNIFFED_OTHER) {
    char sentence[sizeof d->problem];
    snprintf(sentence, sizeof sentence, "%s is not read here: convert it, as with `ffmpeg -i IN out.wav`", what);
    set_problem(d, sentence);
  } else if (d->kind == SNIFFED_UNKNOWN) {
    set_problem(
        d,
        "it is not audio that is known here (WAV, MP3, FLAC, Ogg Vorbis): convert it, as with `ffmpeg -i IN out.wav`");
  }
}

decoder *decoder_open(decoder_read_bytes *read, void *context, char *problem, size_t problem_size) {
  decoder *d = calloc(1, sizeof *d);
  if (d != NULL) d->data = malloc(HEAD_BYTES);
  if (d == NULL || d->data == NULL) {
    free(d);
    snprintf(problem, problem_size, "out of memory");
    return NULL;
  }
  d->read = read;
  d->context = context;
  d->capacity = HEAD_BYTES;
  find_kind(d);
  if (!d->failed) kinds[d->kind].start(d);
  if (d->failed) {
    snprintf(problem, problem_size, "%s", d->problem);
    decoder_close(d);
    return NULL;
  }
  return d;
}

void decoder_close(decoder *d) {
  if (d == NULL) return;
  sotto_wav_close(d->wav);
  if (d->mp3 != NULL) drmp3_uninit(d->mp3);
  free(d->mp3);
  if (d->flac != NULL) drflac_close(d->flac);
  if (d->vorbis != NULL) stb_vorbis_close(d->vorbis);
  free(d->vorbis_memory);
  free(d->data);
  free(d);
}

size_t decoder_read(decoder *d, float *frames, size_t capacity, decoder_format *format) {
  return d->failed ? 0 : kinds[d->kind].frames(d, frames, capacity, format);
}

const char *decoder_problem(const decoder *d) { return d->failed ? d->problem : NULL; }
const char *decoder_name(const decoder *d) { return kinds[d->kind].name; }
