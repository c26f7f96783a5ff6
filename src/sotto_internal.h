/* What the WebAssembly glue may know of an engine beside the public header. */
#ifndef SOTTO_INTERNAL_H
#define SOTTO_INTERNAL_H

#include "../include/sotto.h"

struct pool;

/* The pool whose workers the host starts. */
struct pool *sotto_engine_pool(sotto_engine *engine);

#endif
