// What the tests of the package's command share: running it, alone or on a terminal.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after } from 'node:test';
import { BUILT, needs, root, runProgram } from './support.mjs';

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

const script = spawnSync('script', ['--version']);
const skip = 'skip: the program script of util-linux is missing';
export const onTerminal = { ...(/util-linux/.test(String(script.stdout)) ? ready : { skip }), timeout: 120_000 };

const open = [];
after(() => open.forEach((child) => child.kill())); // those that a failed test left

/** The command on a pseudo-terminal: what is typed, and what appears. */
export function terminal(args, more = {}) {
  const quoted = [process.execPath, 'js/bin/sotto.js', ...args].map((arg) => `'${arg}'`).join(' ');
  const child = spawn('script', ['-qfec', `stty rows 24 cols 100; exec ${quoted}`, '/dev/null'], {
    ...{ cwd: root, stdio: ['pipe', 'pipe', 'inherit'], env: { ...env, TERM: 'xterm', ...more } },
  });
  open.push(child);
  let shown = '';
  let seen = 0; // of what was shown, that was waited for
  let wake = () => {};
  child.stdout.on('data', (piece) => {
    shown += piece;
    wake();
  });
  const code = new Promise((resolve) => child.on('close', resolve));
  code.then(() => wake());
  /** Waits until what appears next matches. */
  const until = async (pattern) => {
    for (;;) {
      const match = pattern.exec(shown.slice(seen));
      if (match) {
        seen += match.index + match[0].length;
        return match[0];
      }
      assert.equal(child.exitCode, null, `it ended; shown: ${JSON.stringify(shown.slice(-2000))}`);
      await new Promise((resolve) => (wake = resolve));
    }
  };
  return {
    code,
    until,
    /** Types, and waits until something is shown. */
    async type(keys, pattern) {
      child.stdin.write(keys);
      return pattern && until(pattern);
    },
    get shown() {
      return shown;
    },
  };
}
