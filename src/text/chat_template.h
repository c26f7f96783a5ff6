/* Conversations as the models were trained on them.
 *
 *     turns ──> <bos><start_of_turn>user\n{system}\n\n{text}<end_of_turn>\n<start_of_turn>model\n ──> ids, or text
 *
 * In ids, the marks of turns are inserted as tokens and everything else is encoded as plain text: what a user writes
 * cannot end a turn. */
#ifndef SOTTO_CHAT_TEMPLATE_H
#define SOTTO_CHAT_TEMPLATE_H

#include "spm_vocab.h"

typedef enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_MODEL } chat_role;

typedef struct chat_turn {
  chat_role role;
  const char *text; /* [bytes], UTF-8 */
  size_t bytes;
} chat_turn;

typedef struct chat_template chat_template;

/* The template of a family, by the architecture's name in GGUF or the model_type in config.json ("gemma", "gemma2",
 * "gemma3", "gemma3_text"); NULL: unknown. */
const chat_template *chat_template_find(const char *architecture);

/* Id of the token that ends a turn, where generation stops; -1: the vocabulary has none, the model is not made for
 * chat. */
int32_t chat_template_end_of_turn(const chat_template *t, const spm_vocab *v);

#define CHAT_REPLY 1u /* ends with the beginning of the model's turn, for it to write */
#define CHAT_CONTINUE \
  2u /* goes on after a turn that the model has just written, which is closed first: no bos, no system text */

/* Appends the ids of a conversation. Turns alternate, the user's first; one system turn may come before them, and
 * its text goes into the user's first turn, as no Gemma has a role for it (an empty one is none). White space around
 * the texts of users and model is removed, as in the published templates.
 * Errors: ARGUMENT (wrong order of turns; nothing was appended), UNSUPPORTED (no such tokens in the vocabulary),
 * MEMORY. */
sotto_status chat_template_ids(const chat_template *t, const spm_vocab *v, const chat_turn *turns, size_t n_turns,
                               unsigned flags, id_list *out, error *err);

/* The same as text, with the marks spelled out. Writes at most `capacity` bytes, *bytes is the number that it has.
 * Errors: ARGUMENT. */
sotto_status chat_template_text(const chat_template *t, const chat_turn *turns, size_t n_turns, unsigned flags,
                                char *out, size_t capacity, size_t *bytes, error *err);

#endif
