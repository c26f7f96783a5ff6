// Runs a C test that was compiled to WebAssembly: node tests/wasm/run.mjs build/wasm-tests/VARIANT/test_NAME.wasm
// Its files are those of the repository; its exit status becomes that of the process. Pools get real workers.
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, workerData } from 'node:worker_threads';

const FIRST_PAGES = (8 << 20) / 65536;
const MOST_PAGES = 65536;
const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** The engine asks for a GPU only where a test does. */
const noGpu = (module) =>
  Object.fromEntries(
    WebAssembly.Module.imports(module)
      .filter(({ name }) => name.startsWith('gpu_'))
      .map(({ name }) => [name, () => 0]),
  );

function start(module, memory) {
  let instance;
  const view = (at, n) => new Uint8Array((memory ?? instance.exports.memory).buffer, at >>> 0, n >>> 0);
  const textAt = (at, n) => new TextDecoder().decode(view(at, n).slice());
  const imports = {
    env: { ...noGpu(module), memory, now_ms: () => performance.now() },
    test: {
      write: (fd, at, n) => {
        for (let done = 0; done < n; ) done += writeSync(fd, view(at, n).slice(done));
      },
      exit: (code) => process.exit(code),
      file_open: (at, n) => {
        try {
          return openSync(path.join(root, textAt(at, n)), 'r');
        } catch {
          return -1;
        }
      },
      file_size: (fd) => fstatSync(fd).size,
      file_read: (fd, offset, at, n) => readSync(fd, view(at, n), 0, n >>> 0, offset),
      file_close: (fd) => closeSync(fd),
      fmod: (x, y) => x % y,
      number: (at, n) => Number(textAt(at, n)),
      start_worker: (seat, stackTop) => new Worker(new URL(import.meta.url), { workerData: { module, memory, seat, stackTop } }),
    },
  };
  instance = new WebAssembly.Instance(module, imports);
  return instance.exports;
}

if (isMainThread) {
  const bytes = readFileSync(process.argv[2]);
  if (/relaxed/.test(process.argv[2]) && Number(process.versions.node.split('.')[0]) < 22) {
    console.log(`skip: node ${process.versions.node} has no relaxed SIMD\n0 passed, 0 failed, 1 skipped`);
    process.exit(0);
  }
  const module = new WebAssembly.Module(bytes);
  const shared = WebAssembly.Module.imports(module).some(({ kind }) => kind === 'memory');
  const memory = shared ? new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared }) : undefined;
  process.exit(start(module, memory).test_run());
} else {
  try {
    const { module, memory, seat, stackTop } = workerData;
    const x = start(module, memory);
    x.__stack_pointer.value = stackTop >>> 0;
    x.test_worker(seat);
  } catch (error) { // the test sleeps until this worker has done its part, which will not be
    writeSync(2, `a worker failed: ${error.stack}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
}
