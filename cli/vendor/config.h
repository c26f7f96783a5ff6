/* How the vendored decoders are built: the same for the file that compiles them and the files that call them. */
#define DR_MP3_FLOAT_OUTPUT
#define DR_MP3_NO_STDIO
#define DR_FLAC_NO_STDIO
#define STB_VORBIS_NO_STDIO
#define STB_VORBIS_NO_PULLDATA_API
#define STB_VORBIS_NO_COMMENTS
