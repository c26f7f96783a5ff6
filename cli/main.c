/* sotto COMMAND ...: finds the command. */
#include <stdio.h>
#include <string.h>

#include "../include/sotto.h"
#include "args.h"
#include "commands.h"

static const char help[] =
    "Usage: sotto COMMAND [OPTION]... FILE...\n"
    "Speech recognition with Whisper models and text with Gemma models, on this machine alone.\n"
    "\n"
    "  transcribe    writes down what is said in audio files\n"
    "  vad           finds where speech is in audio files\n"
    "  generate      goes on with a text, or answers it\n"
    "  chat          a conversation with a language model\n"
    "  serve         models for programs that speak OpenAI's API, and the page\n"
    "  info          describes a model file\n"
    "\n"
    "  tokenize      token ids of a text\n"
    "  detokenize    text of token ids\n"
    "  logits        what a language model makes of tokens, as a NumPy array\n"
    "  perplexity    how badly a language model predicts tokens\n"
    "  bench         how fast a language model is here\n"
    "\n"
    "  quantize         a model's files to one file with smaller weights\n"
    "  imatrix          which columns of a model's matrices matter, for quantize\n"
    "  manifest         a list of the models in a folder, for a site that serves them\n"
    "  make-test-model  a GGUF file of a real model's sizes with random weights, for measuring\n"
    "\n"
    "  -h, --help    this help; for a command: sotto COMMAND --help\n"
    "  -V, --version\n"
    "\n"
    "Example: sotto transcribe -m models/ggml-tiny-q5_1.bin talk.wav\n";

static const struct {
  const char *name;
  int (*run)(char **argv);
} commands[] = {{"transcribe", command_transcribe}, {"vad", command_vad},
                {"generate", command_generate},     {"chat", command_chat},
                {"serve", command_serve},           {"info", command_info},
                {"tokenize", command_tokenize},     {"detokenize", command_detokenize},
                {"logits", command_logits},         {"perplexity", command_perplexity},
                {"bench", command_bench},           {"quantize", command_quantize},
                {"imatrix", command_imatrix},       {"manifest", command_manifest},
                {"convert", command_convert},       {"make-test-model", command_make_test_model}};

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
      for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(a.value, commands[i].name) == 0) return commands[i].run(argv + a.index);
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
