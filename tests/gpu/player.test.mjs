// The player of tapes: buffers, tapes and their replay, reads, what goes wrong, and how a device is opened.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { openDevice, TRAIT } from '../../js/src/gpu/device.ts';
import { Health } from '../../js/src/gpu/health.ts';
import { Player } from '../../js/src/gpu/player.ts';
import { FAILED, Reads } from '../../js/src/gpu/reads.ts';
import { testAdapters, useAdapter } from './harness.mjs';

const head = `
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
`;
/** Kernels of these tests. */
const sources = {
  // act[to + i] = act[from + i] * by + plus, plus a compile-time key
  scale: `struct Params { n: u32, from_: u32, to: u32, by: f32 }
    ${head}
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x < p.n) { act[p.to + id.x] = act[p.from_ + id.x] * p.by + f32($plus); }
    }`,
  // act[i] = ints[at + i] + other[i]
  gather: `struct Params { n: u32, at: u32 }
    ${head}
    @group(0) @binding(3) var<storage, read> ints: array<i32>;
    @group(0) @binding(12) var<storage, read> other: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x < p.n) { act[id.x] = f32(ints[p.at + id.x]) + other[id.x]; }
    }`,
  wrong: `@group(0) @binding(1) var<storage, read_write> act: array<f32>;
    @compute @workgroup_size(64) fn main() {
      act[0] = missing + 1.0;
    }`,
};

const float = (value) => new Uint32Array(Float32Array.of(value).buffer)[0];
const none = new Uint32Array(0);
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** A record of a dispatch. bindings: [number, id, offset / 256, bytes] each. */
const dispatch = (kernel, params, bindings, grid = [1, 1, 1]) => [
  ...[kernel, ...grid, params.length, bindings.length],
  ...[...params, ...bindings.flat()],
];
const copy = (from, fromOffset, to, toOffset, bytes) => [0, from, fromOffset, to, toOffset, bytes];

async function read(player, id, n, offset = 0) {
  const ticket = player.openRead(id, offset, n * 4);
  assert.ok(ticket > 0);
  let out;
  for (;;) {
    const got = player.takeRead(ticket, (bytes) => (out = new Float32Array(bytes.slice().buffer)));
    assert.notEqual(got, -1, player.error?.message);
    if (got === 1) return [...out];
    await player.settled();
  }
}

const adapters = testAdapters();
if (adapters.length === 0) console.log('skip: this machine has no software adapter');

for (const adapter of adapters) {
  const open = async (options = {}, device = {}) => {
    useAdapter(adapter);
    const opened = await openDevice(device);
    return { ...opened, player: new Player(opened, { sources, ...options }) };
  };
  const name = (what) => `${adapter}: ${what}`;

  test(name('what a device can do is told to the engine and to people'), async () => {
    const { player, traits, about } = await open();
    const memory = new WebAssembly.Memory({ initial: 1 });
    player.attach(memory);
    player.imports.gpu_traits(64);
    assert.deepEqual(new Uint32Array(memory.buffer, 64, 16), traits);
    assert.ok(traits[TRAIT.maxBindingBytes] >= 128 << 20);
    assert.ok(traits[TRAIT.maxInvocations] >= 256);
    assert.equal(traits[TRAIT.f16] === 1, about.features.includes('shader-f16'));
    assert.equal(about.software, adapter !== 'gpu');
    assert.ok(about.vendor || about.description);
    await player.close();
    if (adapter === 'gpu') return;
    await assert.rejects(open({}, { hardwareOnly: true }), /^SottoError: No GPU can be used here: .* in software/);
  });

  test(name('without features, at the least limits'), async () => {
    const { player, traits } = await open({}, { features: [], limits: 'default' });
    assert.deepEqual([traits[TRAIT.f16], traits[TRAIT.subgroupMin], traits[TRAIT.matrix]], [0, 0, 0]);
    assert.equal(traits[TRAIT.maxWorkgroupBytes], 16384);
    assert.equal(traits[TRAIT.maxInvocations], 256);
    assert.equal(traits[TRAIT.maxBindingBytes], 128 << 20);
    await player.close();
  });

  test(name('tapes: dispatches in order, integers, copies; what differs from tape to tape'), async () => {
    const { player } = await open();
    const act = player.openBuffer(4096);
    const other = player.openBuffer(1024);
    assert.deepEqual(await read(player, act, 4), [0, 0, 0, 0], 'zeroed');
    player.writeBuffer(other, 256, bytesOf(Float32Array.of(10, 20, 30)));
    const [gather, scale, scale1] = ['gather', 'scale', 'scale plus=1'].map((k) => player.kernels.id(k));
    assert.equal(player.kernels.id('scale'), scale);
    const tape = (by, at, last = scale1) =>
      Uint32Array.from([
        ...dispatch(gather, [3, at], [[1, act, 0, 0], [12, other, 1, 256]]),
        ...dispatch(scale, [3, 0, 100, float(by)], [[1, act, 0, 0]]),
        ...copy(act, 400, other, 768, 12),
        ...dispatch(last, [3, 100, 200, float(2)], [[1, act, 0, 0]]),
      ]);
    const ints = Uint32Array.of(1, -2 >>> 0, 3, 4);
    player.play(tape(2, 0), ints);
    assert.deepEqual(await read(player, act, 3, 800), [45, 73, 133]);
    assert.deepEqual(await read(player, other, 3, 768), [22, 36, 66]);
    const { nGroups } = player;
    player.play(tape(0.5, 1), ints); // other parameters only
    assert.deepEqual(await read(player, act, 3, 800), [9, 24, 35]);
    assert.equal(player.nGroups, nGroups);
    player.play(tape(0.5, 1, scale), ints); // another kernel in the same place
    assert.deepEqual(await read(player, act, 3, 800), [8, 23, 34]);
    const more = Uint32Array.of(...ints, ...new Array(100_000).fill(7)); // than there was room for
    player.play(tape(2, 0), more);
    assert.deepEqual(await read(player, act, 3, 800), [45, 73, 133]);
    player.check();
    await player.close();
  });

  test(name('what is asked for while kernels are compiled happens in its order'), async () => {
    const { player } = await open();
    const act = player.openBuffer(1024);
    const other = player.openBuffer(1024);
    const one = (value) => bytesOf(Float32Array.of(value));
    const tape = (plus) =>
      Uint32Array.from([
        ...dispatch(player.kernels.id(`scale plus=${plus}`), [1, 0, 0, float(2)], [[1, act, 0, 0]]),
        ...copy(act, 0, other, 0, 4),
      ]);
    player.writeBuffer(act, 0, one(1));
    player.play(tape(2), none);
    const tickets = [player.openRead(act, 0, 4)];
    player.writeBuffer(act, 0, one(10));
    player.play(tape(3), none);
    tickets.push(player.openRead(act, 0, 4));
    player.imports.gpu_read_drop(player.openRead(act, 0, 4));
    player.play(tape(2), none);
    tickets.push(player.openRead(act, 0, 4), player.openRead(other, 0, 4));
    player.closeBuffer(other);
    const got = [];
    for (const ticket of tickets)
      while (player.takeRead(ticket, (bytes) => got.push(new Float32Array(bytes.slice().buffer)[0])) === 0)
        await player.settled();
    assert.deepEqual(got, [4, 23, 48, 48]);
    assert.equal(player.openBuffer(16), other);
    player.check();
    await player.close();
  });

  test(name('a device that is lost while kernels are compiled'), async () => {
    const { player, device } = await open();
    const act = player.openBuffer(1024);
    player.play(Uint32Array.from(dispatch(player.kernels.id('scale plus=9'), [1, 0, 0, 0], [[1, act, 0, 0]])), none);
    const ticket = player.openRead(act, 0, 4);
    device.destroy();
    while (player.takeRead(ticket, () => assert.fail()) === 0) await player.settled();
    await assert.rejects(player.finished(), /^SottoError: The GPU was given back/);
    await player.close();
  });

  test(name('a tape with more parameters than fit at once is played in parts'), async () => {
    const { player } = await open();
    const act = player.openBuffer(1024);
    const kernel = player.kernels.id('scale plus=1');
    const n = 5000;
    const tape = Array.from({ length: n }, () => dispatch(kernel, [1, 0, 0, float(1)], [[1, act, 0, 0]])).flat();
    player.play(Uint32Array.from(tape), none);
    assert.deepEqual(await read(player, act, 1), [n]);
    await player.close();
  });

  test(name('buffers: ids are used again, and what was made of a freed one is forgotten'), async () => {
    const { player } = await open();
    const act = player.openBuffer(1024);
    const kernel = player.kernels.id('gather');
    const tape = (other) => Uint32Array.from(dispatch(kernel, [1, 0], [[1, act, 0, 0], [12, other, 0, 0]]));
    const first = player.openBuffer(256);
    player.writeBuffer(first, 0, bytesOf(Float32Array.of(5)));
    player.play(tape(first), Uint32Array.of(1));
    assert.deepEqual(await read(player, act, 1), [6]);
    player.closeBuffer(first);
    player.closeBuffer(first); // again: nothing
    assert.equal(player.nGroups, 0);
    const second = player.openBuffer(256);
    assert.equal(second, first);
    player.writeBuffer(second, 0, bytesOf(Float32Array.of(7)));
    player.play(tape(second), Uint32Array.of(1));
    assert.deepEqual(await read(player, act, 1), [8]);
    assert.equal(player.openBuffer(2 ** 50), 0);
    player.check();
    player.closeBuffer(second);
    player.play(tape(second), Uint32Array.of(1));
    assert.match(String(player.error), /gives the kernel "gather" a buffer that is closed/);
    await player.close();
  });

  test(name('200 sessions come and go, and nothing grows'), async () => {
    const { player } = await open();
    const act = player.openBuffer(1024);
    const before = player.bufferBytes;
    const kernel = player.kernels.id('gather');
    let most = 0;
    for (let i = 0; i < 200; i++) {
      const ids = [player.openBuffer(1 << 16), player.openBuffer(4096)];
      player.play(
        Uint32Array.from(ids.flatMap((id) => dispatch(kernel, [1, 0], [[1, act, 0, 0], [12, id, 0, 0]]))),
        Uint32Array.of(i),
      );
      assert.deepEqual(await read(player, act, 1), [i]);
      for (const id of ids) player.closeBuffer(id);
      most = Math.max(most, ...ids);
    }
    assert.deepEqual([player.bufferBytes, player.nGroups], [before, 0]);
    assert.ok(most <= 4, `ids up to ${most}`);
    player.check();
    await player.close();
  });

  test(name("the engine's imports, with memory that is shared, grows, and ends in the upper half"), async () => {
    const { player } = await open();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
    player.attach(memory);
    const { imports } = player;
    memory.grow(32768); // of which the device takes only what is touched
    const at = 2 ** 31 + 64;
    const p = at | 0; // as WebAssembly gives it
    new Float32Array(memory.buffer, at, 3).set([1, 2, 3]);
    const id = imports.gpu_buffer_open(16);
    imports.gpu_write(id, 0, p, 12);
    const text = new TextEncoder().encode('scale plus=1');
    new Uint8Array(memory.buffer, at, text.length).set(text);
    const kernel = imports.gpu_kernel_open(p, text.length);
    const tape = dispatch(kernel, [3, 0, 0, float(2)], [[1, id, 0, 0]]);
    new Uint32Array(memory.buffer, at, tape.length).set(tape);
    imports.gpu_play(p, tape.length, p, 1);
    const ticket = imports.gpu_read_open(id, 0, 12);
    const dropped = imports.gpu_read_open(id, 0, 12);
    imports.gpu_read_drop(dropped);
    while (imports.gpu_read_take(ticket, p) === 0) await player.settled();
    assert.deepEqual([...new Float32Array(memory.buffer, at, 3)], [3, 5, 7]);
    assert.equal(imports.gpu_read_take(ticket, p), -1, 'taken');
    await player.close();
  });

  test(name('reads: several at once, in any order, of odd sizes'), async () => {
    const { player } = await open();
    const act = player.openBuffer(64 << 10);
    player.writeBuffer(act, 0, bytesOf(Float32Array.from({ length: 16384 }, (_, i) => i)));
    const tickets = Array.from({ length: 8 }, (_, i) => player.openRead(act, i * 1024, 1 + 1000 * i));
    await player.finished();
    for (const [i, ticket] of [...tickets.entries()].reverse()) {
      for (;;) {
        const got = player.takeRead(ticket, (bytes) => {
          assert.equal(bytes.length, 1 + 1000 * i);
          const whole = new Float32Array(bytes.slice(0, bytes.length & ~3).buffer);
          assert.deepEqual([...whole], Array.from(whole, (_, k) => i * 256 + k));
        });
        if (got === 1) break;
        assert.equal(got, 0);
        await player.settled();
      }
    }
    await player.settled(); // none is open
    await player.close();
  });

  test(name('a kernel that does not compile is named, with its line'), async () => {
    const { player } = await open();
    const act = player.openBuffer(256);
    player.play(Uint32Array.from(dispatch(player.kernels.id('wrong'), [], [[1, act, 0, 0]])), none);
    const error = await player.health.failed;
    assert.equal(error.code, 'gpu');
    assert.match(error.message, /does not take the kernel "wrong": .*missing.*, in "act\[0\] = missing \+ 1\.0;"/);
    assert.equal(player.openBuffer(256), 0);
    assert.equal(player.openRead(act, 0, 4), 0);
    await player.close();
  });

  test(name('a kernel that there is not is named'), async () => {
    const { player } = await open();
    player.play(Uint32Array.from(dispatch(player.kernels.id('nothing a=1'), [], [])), none);
    assert.throws(() => player.check(), /The kernel nothing a=1 cannot be made: there is no kernel nothing/);
    await player.close();
  });

  test(name('a lost device: reads fail, nothing hangs, the reason is told'), async () => {
    const { player, device } = await open();
    const act = player.openBuffer(1024);
    const kernel = player.kernels.id('scale');
    const tape = Uint32Array.from(dispatch(kernel, [1, 0, 0, float(1)], [[1, act, 0, 0]]));
    player.play(tape, none);
    const ticket = player.openRead(act, 0, 4);
    device.destroy();
    for (;;) {
      const got = player.takeRead(ticket, () => {});
      if (got !== 0) break;
      await player.settled();
    }
    const error = await player.health.failed;
    assert.equal(error.code, 'gpu');
    assert.match(error.message, /^The GPU /);
    player.play(tape, none);
    player.writeBuffer(act, 0, bytesOf(Float32Array.of(1)));
    assert.equal(player.openBuffer(16), 0);
    assert.equal(player.openRead(act, 0, 4), 0);
    assert.equal(player.takeRead(ticket, () => {}), -1);
    await player.settled();
    await assert.rejects(player.drained(), /^SottoError: The GPU /);
    await assert.rejects(player.finished(), /^SottoError: The GPU /);
    player.closeBuffer(act);
    await player.close();
  });

  test(name('work that WebGPU refuses ends in words'), async () => {
    const { player } = await open();
    const act = player.openBuffer(256);
    player.play(Uint32Array.from(copy(act, 0, act, 128, 1024)), none);
    const error = await player.health.failed;
    assert.match(error.message, /^The GPU refused work \(/);
    await player.close();
  });

  test(name('a profile counts and times every kernel'), async () => {
    const { player, about } = await open({ profile: true });
    const act = player.openBuffer(1024);
    const weight = player.openBuffer(1024);
    const [scale, gather] = ['scale', 'gather'].map((k) => player.kernels.id(k));
    const tape = [
      ...dispatch(scale, [1, 0, 0, float(1)], [[1, act, 0, 0]]),
      ...dispatch(gather, [1, 0], [[1, act, 0, 0], [12, weight, 0, 256]]),
      ...dispatch(scale, [1, 0, 0, float(1)], [[1, act, 0, 0]]),
      ...dispatch(scale, [1, 0, 0, float(1)], [[1, act, 0, 0]]),
    ];
    for (let i = 0; i < 3; i++) player.play(Uint32Array.from(tape), Uint32Array.of(1));
    await player.finished();
    const { rows, missing } = await player.profile();
    assert.deepEqual(Object.fromEntries(rows.map(({ kernel, count }) => [kernel, count])), { scale: 9, gather: 3 });
    if (about.features.includes('timestamp-query')) {
      assert.equal(missing, undefined);
      assert.ok(rows.every(({ ms }) => ms >= 0 && ms < 10_000));
      assert.ok(rows.some(({ ms }) => ms > 0));
    }
    await player.close();
    const without = await open({ profile: true }, { features: [] });
    assert.match((await without.player.profile()).missing, /timestamp-query/);
    await without.player.close();
  });
}

for (const adapter of adapters)
  test(`${adapter}: a worker of Node that has closed its player can end`, () => {
    useAdapter(adapter);
    const url = (file) => JSON.stringify(new URL(file, import.meta.url).href);
    const worker = `
      import { parentPort } from 'node:worker_threads';
      import { openDevice } from ${url('../../js/src/gpu/device.ts')};
      import { Player } from ${url('../../js/src/gpu/player.ts')};
      const player = new Player(await openDevice(), { sources: ${JSON.stringify(sources)} });
      const act = player.openBuffer(1 << 20);
      const [, ...rest] = ${JSON.stringify(dispatch(1, [1, 0, 0, 0], [[1, 1, 0, 0]]))};
      player.play(Uint32Array.of(player.kernels.id('scale'), ...rest), new Uint32Array(0));
      player.openRead(act, 0, 1 << 20);
      await player.close();
      parentPort.postMessage('closed');
      setInterval(() => {}, 1000);`;
    const main = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(worker)}`)}));
      worker.on('message', async () => { await worker.terminate(); console.log('ended'); });`;
    // As a process of its own, for WebGPU in Node ends the whole of it where something is still under way.
    const options = { encoding: 'utf8' };
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', main], options);
    assert.deepEqual([status, stdout.trim()], [0, 'ended'], stderr);
  });

test('what a lost device does not read is destroyed when WebGPU has said so, and not before', async () => {
  for (const end of ['take', 'drop', 'close']) {
    let refuse;
    let destroyed = 0;
    const staging = { mapAsync: () => new Promise((_, reject) => (refuse = reject)), destroy: () => destroyed++ };
    const encoder = { copyBufferToBuffer() {}, finish() {} };
    const health = new Health();
    const reads = new Reads({ createBuffer: () => staging, createCommandEncoder: () => encoder, queue: { submit() {} } }, health);
    const ticket = reads.reserve(4);
    reads.begin(ticket, {}, 0);
    health.fail(new Error('lost'));
    await reads.settled();
    if (end === 'take') assert.equal(reads.take(ticket, assert.fail), FAILED);
    else if (end === 'drop') reads.drop(ticket);
    else reads.close();
    await new Promise(setImmediate);
    assert.equal(destroyed, 0, end);
    refuse(new Error('lost'));
    await health.quiet();
    await new Promise(setImmediate);
    assert.ok(destroyed > 0, end);
  }
});

test('Node without the package is told what to install', async () => {
  await assert.rejects(openDevice({ module: 'no-such-webgpu' }), /^SottoError: .*"npm install webgpu" adds it/);
});
