/* sotto tokenize: text ─> [ids].  sotto detokenize: ids ─> text. Neither loads the weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "input.h"
#include "language.h"

static int out_of_memory(void) {
  fputs("sotto: out of memory\n", stderr);
  return EXIT_FAILED;
}

/* Sends the text to standard output. */
static int print(const text *t) {
  if (t->failed) return out_of_memory();
  return fwrite(t->data, 1, t->size, stdout) == t->size && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int print_ids(const language *l, const text *input, uint32_t flags) {
  size_t n = 0, again;
  text out = {0};
  int status = EXIT_FAILED;
  if (sotto_tokenize(l->model, input->data, input->size, flags, NULL, 0, &n) < 0) {
    language_complain(l);
    return EXIT_FAILED;
  }
  int32_t *ids = malloc((n + 1) * sizeof *ids);
  if (ids == NULL || sotto_tokenize(l->model, input->data, input->size, flags, ids, n, &again) < 0) {
    status = out_of_memory();
  } else {
    for (size_t i = 0; i < n; i++) text_format(&out, "%s%d", i > 0 ? "," : "[", (int)ids[i]);
    text_string(&out, n > 0 ? "]\n" : "[]\n");
    status = print(&out);
  }
  free(ids);
  text_free(&out);
  return status;
}

static const char tokenize_help[] =
    "Usage: sotto tokenize -m MODEL [OPTION]... [-p TEXT | -f FILE]\n"
    "Prints the token ids of a text as a JSON array.\n"
    "\n"
    "  -m, --model MODEL  GGUF file, or folder as on Hugging Face\n"
    "  -p, --prompt TEXT  the text\n"
    "  -f, --file FILE    the text in a file (default: -, standard input)\n"
    "      --special      names of control tokens, such as <end_of_turn>, become those tokens\n"
    "      --bos          begin with the token that begins texts\n"
    "  -h, --help         this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage.\n";

int command_tokenize(char **argv) {
  enum { HELP = 1, MODEL, PROMPT, INPUT, SPECIAL, BOS };
  static const option_spec options[] = {{"model", 'm', true, MODEL}, {"prompt", 'p', true, PROMPT},
                                        {"file", 'f', true, INPUT},  {"special", 0, false, SPECIAL},
                                        {"bos", 0, false, BOS},      {"help", 'h', false, HELP},
                                        {NULL, 0, false, 0}};
  args a = {.command = "tokenize ", .options = options, .argv = argv};
  const char *model = NULL, *prompt = NULL, *file = NULL;
  uint32_t flags = 0;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    switch (id) {
      case HELP:
        fputs(tokenize_help, stdout);
        return EXIT_DONE;
      case MODEL:
        model = a.value;
        break;
      case PROMPT:
        prompt = a.value;
        break;
      case INPUT:
        file = a.value;
        break;
      case SPECIAL:
        flags |= SOTTO_TEXT_SPECIAL;
        break;
      case BOS:
        flags |= SOTTO_TEXT_BOS;
        break;
      case ARGS_OPERAND:
        args_wrong(&a, "unexpected argument '%s': text is given with --prompt", a.value);
        return EXIT_USAGE;
      default:
        return EXIT_USAGE;
    }
  }
  if (model == NULL || (prompt != NULL && file != NULL)) {
    args_wrong(&a, model == NULL ? "no model: give one with --model" : "--prompt and --file exclude each other");
    return EXIT_USAGE;
  }
  text input = {0};
  language l = {0};
  bool ok = true;
  if (prompt != NULL)
    text_string(&input, prompt);
  else
    ok = input_read(&input, file != NULL ? file : "-");
  ok = ok && language_open(&l, model, 1, true);
  const int status = ok ? print_ids(&l, &input, flags) : EXIT_FAILED;
  language_close(&l);
  text_free(&input);
  return status;
}

static const char detokenize_help[] =
    "Usage: sotto detokenize -m MODEL [OPTION]... [--ids FILE]\n"
    "Prints the text of token ids, exactly: no newline is added.\n"
    "\n"
    "  -m, --model MODEL  GGUF file, or folder as on Hugging Face\n"
    "      --ids FILE     JSON array, or ids between white space (default: -, standard input)\n"
    "      --special      show control tokens by their names\n"
    "  -h, --help         this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage.\n";

int command_detokenize(char **argv) {
  enum { HELP = 1, MODEL, IDS, SPECIAL };
  static const option_spec options[] = {{"model", 'm', true, MODEL},
                                        {"ids", 0, true, IDS},
                                        {"special", 0, false, SPECIAL},
                                        {"help", 'h', false, HELP},
                                        {NULL, 0, false, 0}};
  args a = {.command = "detokenize ", .options = options, .argv = argv};
  const char *model = NULL, *file = "-";
  bool special = false;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    switch (id) {
      case HELP:
        fputs(detokenize_help, stdout);
        return EXIT_DONE;
      case MODEL:
        model = a.value;
        break;
      case IDS:
        file = a.value;
        break;
      case SPECIAL:
        special = true;
        break;
      case ARGS_OPERAND:
        args_wrong(&a, "unexpected argument '%s': ids are given with --ids", a.value);
        return EXIT_USAGE;
      default:
        return EXIT_USAGE;
    }
  }
  if (model == NULL) {
    args_wrong(&a, "no model: give one with --model");
    return EXIT_USAGE;
  }
  id_texts ids = {0};
  language l = {0};
  text out = {0};
  int status = EXIT_FAILED;
  if (input_read_ids(&ids, file) && language_open(&l, model, 1, true)) {
    const size_t n = ids.n_texts > 0 ? ids.ends[ids.n_texts - 1] : 0;
    for (size_t i = 0; i < n; i++) {
      size_t bytes;
      const char *piece = sotto_token_piece(l.model, ids.ids[i], special, &bytes);
      text_bytes(&out, piece, bytes);
    }
    status = print(&out);
  }
  text_free(&out);
  language_close(&l);
  id_texts_free(&ids);
  return status;
}
