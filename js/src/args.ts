// Command lines as GNU programs read them, as the native command does: --name VALUE, --name=VALUE, -n VALUE, -nVALUE,
// -qv, operands anywhere, `--`. (parseArgs of Node refuses values such as -1.)

export class UsageError extends Error {}

export interface OptionSpec {
  letter?: string;
  value?: boolean;
}

export interface ParsedArgs {
  /** In the order of the line. */
  options: { name: string; shown: string; value: string }[];
  operands: string[];
}

export function parse(argv: readonly string[], specs: Readonly<Record<string, OptionSpec>>): ParsedArgs {
  const out: ParsedArgs = { options: [], operands: [] };
  let i = 0;
  const add = (name: string, shown: string, inside: string | undefined): void => {
    let value = '';
    if (specs[name].value) {
      const found = inside ?? argv[i++];
      if (found === undefined) throw new UsageError(`option '${shown}' needs a value`);
      value = found;
    } else if (inside !== undefined) {
      throw new UsageError(`option '${shown}' takes no value`);
    }
    out.options.push({ name, shown, value });
  };
  while (i < argv.length) {
    const argument = argv[i++];
    if (argument === '--') {
      out.operands.push(...argv.slice(i));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      out.operands.push(argument);
    } else if (argument.startsWith('--')) {
      const [, name, , value] = /^--([^=]*)(=([^]*))?$/.exec(argument)!;
      if (!Object.hasOwn(specs, name)) throw new UsageError(`unknown option '--${name}'`);
      add(name, `--${name}`, value);
    } else {
      for (let at = 1; at < argument.length; at++) {
        const shown = `-${argument[at]}`;
        const name = Object.keys(specs).find((key) => specs[key].letter === argument[at]);
        if (name === undefined) throw new UsageError(`unknown option '${shown}'`);
        const rest = argument.slice(at + 1);
        const takes = specs[name].value;
        add(name, shown, takes && rest !== '' ? rest : undefined);
        if (takes) break;
      }
    }
  }
  return out;
}

export function integer(shown: string, value: string, low: number, high: number): number {
  const n = Number(value);
  if (!/^[+-]?\d+$/.test(value) || n < low || n > high) {
    throw new UsageError(`option '${shown}' needs a whole number from ${low} to ${high}, not '${value}'`);
  }
  return n;
}

export function number(shown: string, value: string, low: number, high: number): number {
  const n = Number(value);
  if (value.trim() === '' || !(n >= low && n <= high)) {
    throw new UsageError(`option '${shown}' needs a number from ${low} to ${high}, not '${value}'`);
  }
  return n;
}
