/* A list of token ids that grows. Zero it to begin ({0}); free it with id_list_free. */
#ifndef SOTTO_ID_LIST_H
#define SOTTO_ID_LIST_H

#include "../base/base.h"

typedef struct id_list {
  int32_t *ids; /* [count] */
  size_t count, capacity;
} id_list;

/* Appends one id. Errors: MEMORY, and the list is as it was. */
sotto_status id_list_add(id_list *list, int32_t id, error *err);
void id_list_free(id_list *list); /* it is empty afterwards, and can be used again */

#endif
