#include "sniff.h"

#include <stdbool.h>
#include <string.h>

static bool has(const uint8_t *bytes, size_t size, size_t at, const char *magic) {
  size_t n = strlen(magic);
  return size >= at + n && memcmp(bytes + at, magic, n) == 0;
}

size_t sniff_id3_bytes(const uint8_t *p, size_t size) {
  if (size < 10 || !has(p, size, 0, "ID3") || p[3] == 0xff || p[4] == 0xff) return 0;
  if ((p[6] | p[7] | p[8] | p[9]) & 0x80) return 0;
  size_t body = (size_t)p[6] << 21 | (size_t)p[7] << 14 | (size_t)p[8] << 7 | p[9];
  return 10 + body + (p[5] & 0x10 ? 10 : 0); /* a footer */
}

/* Bytes of the MPEG audio frame whose header is at p[0..4), 0: no header. Free-format frames count as none. */
static size_t mpeg_frame_bytes(const uint8_t *p) {
  static const uint16_t kbit_s[5][16] = {
      {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448}, /* MPEG 1, layer I */
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},    /* MPEG 1, layer II */
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},     /* MPEG 1, layer III */
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},    /* MPEG 2 and 2.5, layer I */
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},         /* MPEG 2 and 2.5, layers II and III */
  };
  static const uint16_t hz[3] = {44100, 48000, 32000};
  if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0) return 0;
  int version = p[1] >> 3 & 3; /* 0: 2.5, 2: 2, 3: 1 */
  int layer = 4 - (p[1] >> 1 & 3);
  int rate = p[2] >> 2 & 3;
  if (version == 1 || layer == 4 || rate == 3) return 0;
  bool first = version == 3;
  uint32_t kbit = kbit_s[first ? layer - 1 : layer == 1 ? 3 : 4][p[2] >> 4];
  uint32_t sample_rate = hz[rate] >> (first ? 0 : version == 2 ? 1 : 2);
  uint32_t padding = p[2] >> 1 & 1;
  if (kbit == 0) return 0;
  if (layer == 1) return (size_t)(12000 * kbit / sample_rate + padding) * 4;
  return (size_t)((layer == 3 && !first ? 72000 : 144000) * kbit / sample_rate + padding);
}

/* MPEG audio has no magic: look for three frames that follow one another, or for as many as fit before the end. */
static bool is_mpeg_audio(const uint8_t *p, size_t size) {
  for (size_t start = 0; start + 4 <= size; start++) {
    size_t at = start;
    int n_frames = 0;
    while (n_frames < 3 && at + 4 <= size) {
      size_t bytes = mpeg_frame_bytes(p + at);
      if (bytes == 0) break;
      n_frames++;
      at += bytes;
    }
    if (n_frames == 3 || (n_frames > 0 && start == 0 && at == size)) return true;
  }
  return false;
}

static sniffed sniff_ogg(const uint8_t *p, size_t size, const char **what) {
  size_t packet = size >= 27 ? 27 + (size_t)p[26] : size; /* behind the page's table of lengths */
  if (has(p, size, packet, "\x01vorbis")) return SNIFFED_VORBIS;
  if (has(p, size, packet,
          "\x7f"
          "FLAC"))
    return SNIFFED_OGG_FLAC;
  *what = has(p, size, packet, "OpusHead") ? "Opus" : has(p, size, packet, "Speex") ? "Speex" : "this kind of Ogg";
  return SNIFFED_OTHER;
}

sniffed sniff(const uint8_t *p, size_t size, const char **what) {
  static const struct {
    size_t at;
    const char *magic, *what;
  } others[] = {
      {4, "ftypM4A", "M4A (AAC)"},
      {4, "ftypM4B", "M4B (AAC)"},
      {4, "ftypqt", "QuickTime"},
      {4, "ftyp", "MP4"},
      {0, "\x1a\x45\xdf\xa3", "WebM or Matroska"},
      {0, "FORM", "AIFF"},
      {0, "caff", "CAF"},
      {0, ".snd", "AU"},
      {0, "\x30\x26\xb2\x75", "WMA"},
      {0, "#!AMR", "AMR"},
      {0, "MAC ", "Monkey's Audio"},
      {0, "wvpk", "WavPack"},
      {0, "ADIF", "AAC"},
      {8, "AVI ", "AVI"},
      {0, "FLV\x01", "FLV"},
      {0, "\x01\xba", "MPEG video"},
  };
  if (has(p, size, 8, "WAVE") && (has(p, size, 0, "RIFF") || has(p, size, 0, "RF64") || has(p, size, 0, "BW64"))) {
    return SNIFFED_WAV;
  }
  if (has(p, size, 0, "fLaC")) return SNIFFED_FLAC;
  if (has(p, size, 0, "OggS")) return sniff_ogg(p, size, what);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    if (has(p, size, others[i].at, others[i].magic)) {
      *what = others[i].what;
      return SNIFFED_OTHER;
    }
  }
  if (size >= 2 && p[0] == 0xff && (p[1] & 0xf6) == 0xf0) { /* as MPEG audio, with a layer that it does not have */
    *what = "AAC";
    return SNIFFED_OTHER;
  }
  return is_mpeg_audio(p, size) ? SNIFFED_MP3 : SNIFFED_UNKNOWN;
}
