// What the tests of the package's command share: running it, alone or on a terminal.
import assert from 'node:assert/strict';
import { BUILT, needs, root, runProgram } from './support.mjs';
import { noTerminal, onPseudoTerminal } from '../terminal.mjs';

export const NATIVE = 'build/sotto';
export const TELLER = 'assets/teller-q8_0.gguf';
export const ready = needs(TELLER, 'js/dist/cli.js', ...BUILT);
export const withNative = { ...ready, ...needs(NATIVE) };

/** Without what a user may have set. */
export const env = { ...process.env };
delete env.SOTTO_LANGUAGE_MODEL;
delete env.SOTTO_MODEL;

export const run = (args, options) => runProgram(process.execPath, ['js/bin/sotto.js', ...args], { env, ...options });
export const native = (args, options) => runProgram(NATIVE, args, { env, ...options });

/** Its standard output, when all went well. */
export async function done(args, options, program = run) {
  const { code, stdout, stderr } = await program(args, options);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

export const json = async (...args) => JSON.parse(await done(...args));

/** One sentence on standard error, nothing on standard output. */
export async function fails(code, args, pattern, options) {
  const r = await run(args, options);
  assert.equal(r.code, code, `${args.join(' ')}: ${r.stderr}`);
  assert.equal(r.stdout, '');
  assert.match(r.stderr, /^sotto: [^\n]+\n$/);
  assert.match(r.stderr, pattern);
}

export const onTerminal = { ...(noTerminal ? { skip: noTerminal } : ready), timeout: 120_000 };

/** The command on a pseudo-terminal. */
export const terminal = (args, more = {}) =>
  onPseudoTerminal([process.execPath, 'js/bin/sotto.js', ...args], { cwd: root, env: { ...env, ...more } });
