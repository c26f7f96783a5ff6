/* llama.cpp behind pipes (pipe.h), as its own commands run it: the kernels of the best instruction set that the processor has, weights packed for
 * them, a pool of threads that waits for its next work awake.
 *
 *   llama MODEL THREADS CONTEXT BACKENDS     BACKENDS: the folder of its libraries for instruction sets
 *
 *   request   bytes, tokens to decode, whether the end of an answer ends them (1) or not (0); the bytes are the prompt
 *   answer    bytes, us of the prompt, us of the decoding, tokens decoded, tokens of the prompt; the bytes are the text decoded
 *
 * Each prompt begins an empty context. Always the likeliest token; each is evaluated before it counts. */
#include <llama.h>

#include "pipe.h"

typedef struct ggml_threadpool *new_pool(struct ggml_threadpool_params *);

static void log_errors(enum ggml_log_level level, const char *text, void *user) {
  (void)user;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

/* Without one of its own llama.cpp starts its threads anew for every token. */
static void attach_pool(struct llama_context *context, int threads) {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  void *found =
      cpu ? ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_threadpool_new") : NULL;
  new_pool *make;
  if (found == NULL) fail("llama.cpp has no pools of threads");
  memcpy(&make, &found, sizeof make);
  struct ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  llama_attach_threadpool(context, make(&params), NULL);
}

/* The largest of n > 0 numbers: two plain loops, which a compiler can widen. */
static llama_token likeliest(const float *logits, int n) {
  float most = logits[0];
  int i = 0;
  for (int k = 1; k < n; k++) most = logits[k] > most ? logits[k] : most;
  while (i < n - 1 && logits[i] < most) i++;
  return i;
}

static void evaluate(struct llama_context *context, llama_token *tokens, int n) {
  const int status = llama_decode(context, llama_batch_get_one(tokens, n));
  if (status != 0) fail("llama_decode: status %d", status);
  llama_synchronize(context);
}

static void generate(struct llama_context *context, const struct llama_vocab *vocab, const char *prompt, size_t bytes,
                     int decode, int may_end) {
  const int room = (int)llama_n_ctx(context);
  llama_token *tokens = malloc(sizeof *tokens * (size_t)room);
  size_t used = 0, kept = 64 * ((size_t)decode + 1);
  char *text = malloc(kept);
  int done = 0;
  if (tokens == NULL || text == NULL) fail("no memory");
  const int n = llama_tokenize(vocab, prompt, (int)bytes, tokens, room, true, false);
  if (n <= 0 || n + decode > room) fail("the prompt and what follows do not fit in a context of %d", room);

  llama_memory_clear(llama_get_memory(context), true);
  const long long begin = now_us();
  evaluate(context, tokens, n);
  const long long evaluated = now_us();
  for (; done < decode; done++) {
    llama_token token = likeliest(llama_get_logits_ith(context, -1), llama_vocab_n_tokens(vocab));
    if (may_end && llama_vocab_is_eog(vocab, token)) break;
    const int length = llama_token_to_piece(vocab, token, text + used, (int)(kept - used), 0, false);
    if (length > 0)
      used += (size_t)length; /* negative: a longer piece than there is room for, which no token of Gemma has */
    evaluate(context, &token, 1);
  }
  answer(text, used, (long long[]){evaluated - begin, now_us() - evaluated, done, n}, 4);
  free(tokens);
  free(text);
}

int main(int argc, char **argv) {
  if (argc != 5) fail("usage: llama MODEL THREADS CONTEXT BACKENDS");
  const int threads = (int)whole(argv[2], NULL, 1, 64);
  long numbers[2];
  size_t bytes;
  char *prompt;

  llama_log_set(log_errors, NULL);
  ggml_backend_load_all_from_path(argv[4]);
  llama_backend_init();
  struct llama_model_params of_model = llama_model_default_params();
  of_model.n_gpu_layers = 0;
  struct llama_model *model = llama_model_load_from_file(argv[1], of_model);
  if (model == NULL) fail("llama.cpp cannot load %s", argv[1]);
  struct llama_context_params params = llama_context_default_params();
  params.n_ctx = (uint32_t)whole(argv[3], NULL, 1, 1 << 20);
  params.n_threads = params.n_threads_batch = threads;
  struct llama_context *context = llama_init_from_model(model, params);
  if (context == NULL) fail("llama.cpp cannot make a context of %s", argv[3]);
  attach_pool(context, threads);
  answer(llama_print_system_info(), strlen(llama_print_system_info()), NULL, 0);

  while ((prompt = request(&bytes, numbers, 2)) != NULL) {
    generate(context, llama_model_get_vocab(model), prompt, bytes, (int)numbers[0], numbers[1] != 0);
    free(prompt);
  }
  return 0; /* the process gives back all */
}
