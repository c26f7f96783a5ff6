// Processes and threads of this machine: a file for each lock, touched while it is held, and a BroadcastChannel between threads.
import { rmSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { abortError } from '../errors.js';
import { cacheFolder } from '../folder.node.js';
import type { News, Tabs } from './tabs.js';

const CHANNEL = 'sotto-models';
const TOUCH_MS = 1000;
/** A lock that nobody touched for so long was left behind. */
const STALE_MS = 5000;
const ASK_MS = 150;

const lockFolder = (): string => path.join(cacheFolder(), 'locks');
const lockOf = (key: string): string => path.join(lockFolder(), key);

/** Whether a lock is held; one that was left behind is removed. */
async function isHeld(file: string): Promise<boolean> {
  const [stat, pid] = await Promise.all([fs.stat(file).catch(() => null), fs.readFile(file, 'utf8').catch(() => '')]);
  if (!stat) return false;
  if (Date.now() - stat.mtimeMs < STALE_MS && isAlive(Number(pid))) return true;
  await fs.rm(file, { force: true });
  return false;
}

/** 0: its number is being written. */
function isAlive(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function take(file: string): Promise<(() => void) | undefined> {
  try {
    await fs.writeFile(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    return () => {}; // a disk that takes nothing: nothing is written there either
  }
  const timer = setInterval(() => void fs.utimes(file, new Date(), new Date()).catch(() => {}), TOUCH_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(file, { force: true }); // whoever looks next finds it gone
  };
}

let speaking: BroadcastChannel | undefined;
/** Nobody waits for the end of the process because of it. */
function open(): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL);
  (channel as unknown as { unref?(): void }).unref?.();
  return channel;
}

export const tabs: Tabs = {
  async lock(key, mode, signal) {
    if (mode === 'shared') return () => {}; // what is removed stays readable for those who have it open
    const file = lockOf(key);
    await fs.mkdir(lockFolder(), { recursive: true }).catch(() => {});
    for (;;) {
      if (signal.aborted) throw abortError();
      const release = await take(file);
      if (release) return release;
      if (await isHeld(file)) await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  },

  async writing() {
    const keys = await fs.readdir(lockFolder()).catch(() => []);
    const held = await Promise.all(keys.map((key) => isHeld(lockOf(key))));
    return new Set(keys.filter((_, i) => held[i]));
  },

  tell(news) {
    speaking ??= open();
    speaking.postMessage(news);
  },

  hear(listener) {
    const channel = open();
    channel.onmessage = (event: MessageEvent | { data: News }) => listener(event.data as News);
    return () => channel.close();
  },
};
