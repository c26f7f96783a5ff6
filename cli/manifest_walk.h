/* The models in a folder, for sotto manifest: which of its files belong to one. */
#ifndef CLI_MANIFEST_WALK_H
#define CLI_MANIFEST_WALK_H

#include "../src/base/base.h"

/* Files that are one model, in the order in which the engine takes them. */
typedef struct manifest_group {
  char **files; /* [n]: paths from the folder on */
  size_t n;
} manifest_group;

typedef struct manifest_groups {
  manifest_group *groups; /* [n] */
  size_t n;
} manifest_groups;

/* Finds the models below `root`: GGUF files, whole or split, .bin files, folders as on Hugging Face. Names that begin with a dot are passed over.
 * Free it after failure too. Errors: ARGUMENT (the folder cannot be read), MEMORY. */
sotto_status manifest_walk(manifest_groups *g, const char *root, error *err);
void manifest_groups_free(manifest_groups *g);

/* Text of "root/name"; free it. NULL: no memory. */
char *manifest_path(const char *root, const char *name);

#endif
