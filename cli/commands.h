/* The commands of sotto: each takes the arguments behind its name, NULL-terminated, and returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_transcribe(char **argv);
int command_vad(char **argv);
int command_info(char **argv);
int command_generate(char **argv);
int command_chat(char **argv);
int command_serve(char **argv);
int command_bench(char **argv);
int command_logits(char **argv);
int command_perplexity(char **argv);
int command_tokenize(char **argv);
int command_detokenize(char **argv);
int command_quantize(char **argv);
int command_imatrix(char **argv);
int command_manifest(char **argv);
int command_convert(char **argv); /* the older name of quantize */
int command_make_test_model(char **argv);

#endif
