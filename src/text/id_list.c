#include "id_list.h"

sotto_status id_list_add(id_list *list, int32_t id, error *err) {
  if (list->count == list->capacity) {
    size_t capacity = max_size(64, list->capacity * 2);
    int32_t *grown = mem_alloc(capacity, sizeof *grown);
    if (!grown) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a list of %zu tokens", capacity);
    if (list->count > 0) memcpy(grown, list->ids, list->count * sizeof *grown);
    mem_free(list->ids);
    list->ids = grown;
    list->capacity = capacity;
  }
  list->ids[list->count++] = id;
  return SOTTO_OK;
}

void id_list_free(id_list *list) {
  mem_free(list->ids);
  *list = (id_list){0};
}
