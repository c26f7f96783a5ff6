/* A conversation with a model, and its file.
 *
 *     {"model":"gemma-3-1b-it-Q4_0.gguf","messages":[
 *     {"role":"system","content":"..."},
 *     {"role":"user","content":"..."},
 *     {"role":"assistant","content":"..."}
 *     ]}
 *
 * A file may also be the array of messages alone. */
#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H

#include "../include/sotto.h"
#include "json.h"

typedef struct conversation {
  text system;       /* empty: none */
  sotto_turn *turns; /* [n_turns], the user's first, then by turns; their texts are the conversation's */
  size_t n_turns, capacity;
  size_t first; /* the model sees turns [first, n_turns): those before did not fit in its context */
} conversation;

void conversation_free(conversation *c);

/* Adds the turn that comes next. False: no memory. */
bool conversation_add(conversation *c, const char *bytes, size_t size);
/* Takes the last turn away. */
void conversation_drop(conversation *c);
bool conversation_awaits_answer(const conversation *c);

/* Writes the file, whole or not at all; false with errno set. `model` may be NULL. */
bool conversation_save(const conversation *c, const char *path, const char *model);
/* Replaces the conversation by a file's; false, with the conversation as it was, after writing what is wrong to `problem`. */
bool conversation_load(conversation *c, const char *path, char *problem, size_t room);

#endif
