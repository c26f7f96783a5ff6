#include "id_list.h"

sotto_status id_list_add(id_list *list, int32_t id, error *err) {
  int32_t *ids = mem_grow(list->ids, sizeof *ids, list->count, &list->capacity, list->count + 1);
  if (!ids) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a list of %zu tokens", list->count + 1);
  list->ids = ids;
  list->ids[list->count++] = id;
  return SOTTO_OK;
}

void id_list_free(id_list *list) {
  mem_free(list->ids);
  *list = (id_list){0};
}
