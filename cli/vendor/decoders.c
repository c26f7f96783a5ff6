/* The vendored decoders, compiled once, without warnings of ours. See README.md. */
#include "config.h"

#define DR_MP3_IMPLEMENTATION
#include "dr_mp3.h"

#define DR_FLAC_IMPLEMENTATION
#include "dr_flac.h"

#include "stb_vorbis.h"
