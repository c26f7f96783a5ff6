// Where models are on the disk: $XDG_CACHE_HOME/sotto, by default ~/.cache/sotto.
import { homedir } from 'node:os';
import path from 'node:path';

export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  const cache = base && path.isAbsolute(base) ? base : path.join(homedir(), '.cache');
  return path.join(cache, 'sotto');
}
