// Programs on a pseudo-terminal (of the program `script`), for the tests of both commands.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after } from 'node:test';

/** Why there is none, or false. */
export const noTerminal = /util-linux/.test(String(spawnSync('script', ['--version']).stdout))
  ? false
  : 'skip: the program script of util-linux is missing';

const open = [];
after(() => open.forEach((child) => child.kill())); // those that a failed test left

/** `command`, a program and its arguments, on a pseudo-terminal: what is typed, and what appears. */
export function onPseudoTerminal(command, { env, ...options }) {
  const quoted = command.map((arg) => `'${arg}'`).join(' ');
  const child = spawn('script', ['-qfec', `stty rows 24 cols 100; exec ${quoted}`, '/dev/null'], {
    ...{ stdio: ['pipe', 'pipe', 'inherit'], env: { ...env, TERM: 'xterm' }, ...options },
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
    enter: () => child.stdin.write('\r'),
    get shown() {
      return shown;
    },
  };
}
