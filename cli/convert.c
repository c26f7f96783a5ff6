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
    GGUF_FILE_HELP("q8_0); rounded to nearest")
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
  enum { HELP = 1, NAME };
  static const option_spec options[] = {
      GGUF_FILE_OPTIONS, {"name", 0, true, NAME}, {"help", 'h', false, HELP}, {NULL, 0, false, 0}};
  args a = {.command = "convert ", .options = options, .argv = argv};
  gguf_file_options o = {.recipe = recipe_find("q8_0")};
  const char *folder = NULL, *name = NULL;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool taken;
    if (id == ARGS_WRONG || !gguf_file_option(&o, &a, id, &taken)) return EXIT_USAGE;
    if (taken) continue;
    if (id == HELP) {
      fputs(help, stdout);
      return EXIT_DONE;
    }
    if (id == NAME) {
      name = a.value;
    } else if (folder == NULL) {
      folder = a.value;
    } else {
      args_wrong(&a, "more than one folder: convert one at a time");
      return EXIT_USAGE;
    }
  }
  if (folder == NULL || o.path == NULL) {
    args_wrong(&a, folder == NULL ? "no folder was given" : "no output: name the GGUF file with --output");
    return EXIT_USAGE;
  }
  return convert(folder, o.path, name, o.recipe);
}
