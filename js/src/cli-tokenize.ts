// sotto tokenize: text ─> [ids].  sotto detokenize: ids ─> text. Neither loads the weights of a model that is here.
import { parse, UsageError } from './args.js';
import { attempt, interruptSignal, readInput, write } from './cli-common.js';
import { withLocalModel, type LocalModel } from './cli-engine.js';
import { readIds } from './cli-ids.js';
import { HELP_SPEC, MODEL_SPEC, requiredModel } from './cli-language.js';

const TOKENIZE_HELP = `Usage: sotto tokenize -m MODEL [OPTION]... [-p TEXT | -f FILE]
Prints the token ids of a text as a JSON array.

  -m, --model MODEL  GGUF file, folder as on Hugging Face, address, or name
  -p, --prompt TEXT  the text
  -f, --file FILE    the text in a file (default: -, standard input)
      --special      names of control tokens, such as <end_of_turn>, become those tokens
      --bos          begin with the token that begins texts
  -h, --help         this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage.
`;

const DETOKENIZE_HELP = `Usage: sotto detokenize -m MODEL [OPTION]... [--ids FILE]
Prints the text of token ids, exactly: no newline is added.

  -m, --model MODEL  GGUF file, folder as on Hugging Face, address, or name
      --ids FILE     JSON array, or ids between white space (default: -, standard input)
      --special      show control tokens by their names
  -h, --help         this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage.
`;

export async function tokenize(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, {
    help: HELP_SPEC,
    model: MODEL_SPEC,
    prompt: { letter: 'p', value: true },
    file: { letter: 'f', value: true },
    special: {},
    bos: {},
  });
  const of = Object.fromEntries(options.map(({ name, value }) => [name, value]));
  if ('help' in of) {
    await write(TOKENIZE_HELP);
    return 0;
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}': text is given with --prompt`);
  const name = requiredModel(of);
  if ('prompt' in of && 'file' in of) throw new UsageError('--prompt and --file exclude each other');
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const text = 'prompt' in of ? Buffer.from(of['prompt']) : await readInput(of['file'] ?? '-', signal);
    const ids = await withLocalModel(name, { signal, onlyText: true }, ({ codec }) =>
      codec.text(text, 'special' in of, 'bos' in of),
    );
    await write(JSON.stringify(ids) + '\n');
  });
}

/** To the byte: ids may be parts of characters. */
function bytesOf({ wasm, codec }: LocalModel, ids: readonly number[], special: boolean): Buffer {
  return Buffer.concat(
    ids.map((id) => {
      const { p, size } = codec.piece(id, special);
      return wasm.bytes(p, size).slice();
    }),
  );
}

export async function detokenize(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, {
    help: HELP_SPEC,
    model: MODEL_SPEC,
    ids: { value: true },
    special: {},
  });
  const of = Object.fromEntries(options.map(({ name, value }) => [name, value]));
  if ('help' in of) {
    await write(DETOKENIZE_HELP);
    return 0;
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}': ids are given with --ids`);
  const name = requiredModel(of);
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const ids = (await readIds(of['ids'] ?? '-', signal)).flat();
    await write(
      await withLocalModel(name, { signal, onlyText: true }, (model) => bytesOf(model, ids, 'special' in of)),
    );
  });
}
