// The command of the package. Options, output and exit codes are those of the native command (cli/), so that one can
// stand in for the other; only models that are named and not here are fetched.
import { UsageError } from './args.js';
import { bench } from './cli-bench.js';
import { chat } from './cli-chat.js';
import { EXIT_USAGE } from './cli-common.js';
import { generate } from './cli-generate.js';
import { imatrix } from './cli-imatrix.js';
import { info } from './cli-info.js';
import { logits, perplexity } from './cli-measure.js';
import { manifest } from './cli-manifest.js';
import { models } from './cli-models.js';
import { quantize } from './cli-quantize.js';
import { detokenize, tokenize } from './cli-tokenize.js';
import { transcribe } from './cli-transcribe.js';
import { vad } from './cli-vad.js';
import { VERSION } from './models.gen.js';

const HELP = `Usage: sotto COMMAND [OPTION]... FILE...
Speech recognition with Whisper models and text with Gemma models, on this machine alone.

  transcribe    writes down what is said in audio files
  vad           finds where speech is in audio files
  generate      goes on with a text, or answers it
  chat          a conversation with a language model
  info          describes a model file
  models        lists the models that can be named

  tokenize      token ids of a text
  detokenize    text of token ids
  logits        what a language model makes of tokens, as a NumPy array
  perplexity    how badly a language model predicts tokens
  bench         how fast a language model is here

  quantize      a model's files to one file with smaller weights
  imatrix       which columns of a model's matrices matter, for quantize
  manifest      a list of the models in a folder, for a site that serves them

  -h, --help    this help; for a command: sotto COMMAND --help
  -V, --version

Example: sotto transcribe -m tiny-q5_1 talk.wav
`;

const COMMANDS: Record<string, (argv: readonly string[]) => Promise<number>> = {
  transcribe,
  vad,
  generate,
  chat,
  info,
  models,
  tokenize,
  detokenize,
  logits,
  perplexity,
  bench,
  quantize,
  imatrix,
  manifest,
};

async function main([command, ...argv]: readonly string[]): Promise<number> {
  let name = '';
  try {
    switch (command) {
      case '-h':
      case '--help':
        process.stdout.write(HELP);
        return 0;
      case '-V':
      case '--version':
        process.stdout.write(`sotto ${VERSION}\n`);
        return 0;
      case undefined:
        throw new UsageError('no command was given');
      default:
        if (command.startsWith('-')) throw new UsageError(`unknown option '${command}'`);
        if (!Object.hasOwn(COMMANDS, command)) throw new UsageError(`unknown command '${command}'`);
        name = `${command} `;
        return await COMMANDS[command](argv);
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`sotto: ${error.message}; see 'sotto ${name}--help'\n`);
    return EXIT_USAGE;
  }
}

// A reader that has had enough (head) ends the command quietly.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
