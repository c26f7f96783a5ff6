/* <assert.h> in WebAssembly: a trap, where NDEBUG does not turn it off. */
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())
#endif
