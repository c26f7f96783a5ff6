/* sotto convert: a folder as on Hugging Face to one GGUF file, tensor by tensor. */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "commands.h"
#include "gguf_file.h"
#include "hf_folder.h"

static const char help[] =
    "Usage: sotto convert FOLDER -o FILE [OPTION]...\n"
    "Makes a GGUF file of a Gemma model in a folder as on Hugging Face: config.json, safetensors, tokenizer.\n"
    "\n"
    "  -o, --output FILE  the GGUF file; it appears whole or not at all\n"
    "      --type TYPE    " RECIPE_NAMES
    "\n"
    "                     (default: q8_0); rounded to nearest\n"
    "      --name NAME    of the model (default: the folder's)\n"
    "  -h, --help         this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage.\n"
    "Example: sotto convert gemma-3-270m-it -o gemma-3-270m-it-q8_0.gguf\n";

/* The last part of a path, without slashes behind it; free it. */
static char *last_part(const char *path) {
  char *whole = realpath(path, NULL);
  if (whole == NULL) return NULL;
  char *slash = strrchr(whole, '/'), *name = strdup(slash[1] != '\0' ? slash + 1 : "model");
  free(whole);
  return name;
}

static int convert(const char *folder, const char *path, const char *name, const recipe *r) {
  error err = {""};
  hf_folder f;
  char *own_name = name == NULL ? last_part(folder) : NULL;
  sotto_status status = hf_folder_open(&f, folder, &err);
  if (status < 0) {
    fprintf(stderr, "sotto: %s: %s\n", folder, err.text);
  } else {
    if (gemma_vocabulary(f.model) == NULL)
      fprintf(stderr, "sotto: %s: there is no tokenizer.model or tokenizer.json, so the GGUF file gets no tokenizer\n",
              folder);
    const gemma_gguf file = {.model = f.model,
                             .vocab = gemma_vocabulary(f.model),
                             .name = name != NULL       ? name
                                     : own_name != NULL ? own_name
                                                        : "model",
                             .chat_template = f.chat_template.bytes,
                             .chat_template_bytes = f.chat_template.size,
                             .recipe = r};
    const gemma_rows rows = hf_folder_rows(&f);
    status = gguf_file_write(path, &file, &rows, &err);
    if (status < 0) fprintf(stderr, "sotto: %s: %s\n", path, err.text);
  }
  hf_folder_close(&f);
  free(own_name);
  return status < 0 ? EXIT_FAILED : EXIT_DONE;
}

int command_convert(char **argv) {
  enum { HELP = 1, OUTPUT, TYPE, NAME };
  static const option_spec options[] = {{"output", 'o', true, OUTPUT},
                                        {"type", 0, true, TYPE},
                                        {"name", 0, true, NAME},
                                        {"help", 'h', false, HELP},
                                        {NULL, 0, false, 0}};
  args a = {.command = "convert ", .options = options, .argv = argv};
  const char *folder = NULL, *path = NULL, *name = NULL;
  const recipe *r = recipe_find("q8_0");
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return EXIT_DONE;
      case OUTPUT:
        path = a.value;
        break;
      case TYPE:
        r = recipe_find(a.value);
        if (r == NULL) {
          args_wrong(&a, "unknown type '%s': the types are " RECIPE_NAMES, a.value);
          return EXIT_USAGE;
        }
        break;
      case NAME:
        name = a.value;
        break;
      case ARGS_OPERAND:
        if (folder != NULL) {
          args_wrong(&a, "more than one folder: convert one at a time");
          return EXIT_USAGE;
        }
        folder = a.value;
        break;
      default:
        return EXIT_USAGE;
    }
  }
  if (folder == NULL || path == NULL) {
    args_wrong(&a, folder == NULL ? "no folder was given" : "no output: name the GGUF file with --output");
    return EXIT_USAGE;
  }
  return convert(folder, path, name, r);
}
