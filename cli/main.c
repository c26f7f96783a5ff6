/* sotto COMMAND ...: finds the command. */
#include <stdio.h>
#include <string.h>

#include "../include/sotto.h"
#include "args.h"
#include "commands.h"

static const char help[] =
    "Usage: sotto COMMAND [OPTION]... FILE...\n"
    "Speech recognition with Whisper models, on this machine alone.\n"
    "\n"
    "  transcribe    writes down what is said in audio files\n"
    "  info          describes a model file\n"
    "\n"
    "  -h, --help    this help; for a command: sotto COMMAND --help\n"
    "  -V, --version\n"
    "\n"
    "Example: sotto transcribe -m models/ggml-tiny-q5_1.bin talk.wav\n";

int main(int argc, char **argv) {
  enum { HELP = 1, VERSION };
  static const option_spec options[] = {
      {"help", 'h', false, HELP}, {"version", 'V', false, VERSION}, {NULL, 0, false, 0}};
  args a = {.command = "", .options = options, .argv = argv, .index = argc > 0 ? 1 : 0};
  switch (args_next(&a)) {
    case HELP:
      fputs(help, stdout);
      break;
    case VERSION:
      printf("sotto %s\n", sotto_version());
      break;
    case ARGS_OPERAND:
      if (strcmp(a.value, "transcribe") == 0) return command_transcribe(argv + a.index);
      if (strcmp(a.value, "info") == 0) return command_info(argv + a.index);
      args_wrong(&a, "unknown command '%s'", a.value);
      return EXIT_USAGE;
    case ARGS_END:
      args_wrong(&a, "no command was given");
      return EXIT_USAGE;
    default:
      return EXIT_USAGE; /* said by args_next */
  }
  return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
