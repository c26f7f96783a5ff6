/* The voice activity network that comes with sotto. */
#ifndef CLI_VAD_FILE_H
#define CLI_VAD_FILE_H

#include "../include/sotto.h"

/* Opens the network that lies beside the command, or the one that SOTTO_VAD of the environment names. NULL after printing what is wrong. */
sotto_vad *vad_file_open(sotto_engine *engine, const sotto_vad_options *options);

#endif
