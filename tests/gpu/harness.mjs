// Runs single GPU kernels under Node: on SwiftShader or lavapipe where there is no GPU, on the GPU where there is one.
//
//   const gpu = await open({ adapter: 'lavapipe' });            // 'swiftshader', 'lavapipe', 'gpu'
//   const { act } = await gpu.run('geglu', { params: [n, ...], bindings: { 1: { act: Float32Array.of(...) } }, grid: [x, y, z] });
//
// SOTTO_GPU_ADAPTER=gpu has all tests run on the machine's GPU.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { bindingsOf, compose } from '../../js/src/gpu/compose.ts';

const folder = path.join(import.meta.dirname, '../../src/gpu/wgsl');

export const readSources = () =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((file) => file.endsWith('.wgsl'))
      .map((file) => [file.slice(0, -5), readFileSync(path.join(folder, file), 'utf8')]),
  );

const drivers = {
  swiftshader: '/usr/lib/chromium/vk_swiftshader_icd.json',
  lavapipe: '/usr/share/vulkan/icd.d/lvp_icd.json',
};

/** The adapters to test on: the software ones of this machine, or that of SOTTO_GPU_ADAPTER. */
export const testAdapters = () =>
  process.env.SOTTO_GPU_ADAPTER
    ? [process.env.SOTTO_GPU_ADAPTER]
    : Object.keys(drivers).filter((name) => existsSync(drivers[name]));

/**
 * For tests of whole models, whose kernels have tests of their own: the GPU, or the software that compiles fastest; with SOTTO_SLOW_TESTS
 * all of it.
 */
export const wholeModelAdapters = () => testAdapters().slice(0, process.env.SOTTO_SLOW_TESTS ? undefined : 1);

/** What is opened from here on is on this adapter. */
export function useAdapter(name) {
  if (!drivers[name]) return;
  process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = drivers[name];
  rest();
}

const never = new Int32Array(new SharedArrayBuffer(4));
let resting = false;

/** While Dawn waits it asks for news in every turn of Node's loop: from here on a turn takes a millisecond, for the processor has to be the GPU. */
function rest() {
  if (resting) return;
  resting = true;
  const turn = () => {
    Atomics.wait(never, 0, 0, 1);
    setImmediate(turn).unref();
  };
  turn();
}

const words = (list) => {
  const out = new DataView(new ArrayBuffer(256));
  list.forEach((value, i) =>
    typeof value === 'object' ? out.setFloat32(4 * i, value.f, true) : out.setInt32(4 * i, value, true),
  );
  return new Uint8Array(out.buffer);
};

/** A parameter that is a float: { params: [4, f(1.5)] }. */
export const f = (value) => ({ f: value });

/**
 * adapter: besides those above 'null', which has every feature, and only compiles. features: those wanted where the adapter has them (default: all
 * that it has). limits: 'default' for WebGPU's own, else the adapter's.
 * toggles: options of Dawn.
 */
export async function open({ adapter = process.env.SOTTO_GPU_ADAPTER ?? 'lavapipe', features, limits, toggles = [] } = {}) {
  useAdapter(adapter);
  const webgpu = process.env.SOTTO_WEBGPU_MODULE ?? 'webgpu';
  const { create, globals } = await import(webgpu);
  Object.assign(globalThis, globals);
  const gpu = create([
    `backend=${adapter === 'null' ? 'null' : 'vulkan'}`,
    `enable-dawn-features=${['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia', ...toggles].join(',')}`,
  ]);
  const found = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!found) throw new Error(`no adapter ${adapter}`);
  const wanted = [...found.features].filter((name) => !features || features.includes(name));
  const requiredLimits = {};
  if (limits !== 'default')
    for (const name of [
      'maxStorageBufferBindingSize',
      'maxBufferSize',
      'maxComputeWorkgroupStorageSize',
      'maxComputeInvocationsPerWorkgroup',
      'maxComputeWorkgroupSizeX',
    ])
      requiredLimits[name] = found.limits[name];
  const device = await found.requestDevice({ requiredFeatures: wanted, requiredLimits });
  return new Runner(gpu, found, device);
}

class Runner {
  constructor(gpu, adapter, device) {
    /** 1: it computes on the CPU; kernels are then told to be short (rolled=1). */
    const software = Number(/swiftshader|llvmpipe|lavapipe/i.test(`${adapter.info.device} ${adapter.info.description}`));
    Object.assign(this, { gpu, adapter, device, software, sources: readSources(), pipelines: new Map() });
    /** The least threads of a subgroup; 0: no subgroups. */
    this.subgroup = this.has('subgroups') ? (adapter.info.subgroupMinSize ?? 0) : 0;
    device.addEventListener?.('uncapturederror', ({ error }) => console.error(error.message));
  }

  /** A feature of the device, or of the language. */
  has(feature) {
    return this.device.features.has(feature) || this.gpu.wgslLanguageFeatures.has(feature);
  }

  /** Compiles; throws the compiler's words. */
  async pipeline(variant) {
    if (this.pipelines.has(variant)) return this.pipelines.get(variant);
    const code = compose(variant, this.sources);
    const kinds = bindingsOf(code);
    this.device.pushErrorScope('validation');
    const module = this.device.createShaderModule({ code });
    const layout = this.device.createBindGroupLayout({
      entries: [...kinds].map(([binding, kind]) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: {
          type: kind === 'uniform' ? 'uniform' : kind === 'read' ? 'read-only-storage' : 'storage',
          hasDynamicOffset: kind === 'uniform',
        },
      })),
    });
    const pipeline = this.device.createComputePipeline({
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    const error = await this.device.popErrorScope();
    if (error) throw new Error(`${variant}: ${error.message}\n${code.split('\n').map((l, i) => `${i + 1}: ${l}`).join('\n')}`);
    const made = { pipeline, layout, kinds };
    this.pipelines.set(variant, made);
    return made;
  }

  buffer(data) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const made = this.device.createBuffer({
      size: Math.max(16, (bytes.length + 15) & ~15),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    const padded = bytes.length % 4 === 0 ? bytes : Uint8Array.from({ length: (bytes.length + 3) & ~3 }, (_, i) => bytes[i] ?? 0);
    this.device.queue.writeBuffer(made, 0, padded);
    return made;
  }

  /** A buffer's words. */
  async read(buffer) {
    const staging = this.device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const words = new Uint32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return words;
  }

  /**
   * params: up to 64 words, whole numbers or f(x). bindings: by number { name: TypedArray }, or a GPUBuffer. Returns the arrays of the
   * bindings that are written, by name, as they are afterwards; with `repeat`, also ms: of a dispatch, the median of `repeat`.
   */
  async run(variant, { params = [], bindings, grid, repeat = 0 }) {
    const { pipeline, layout, kinds } = await this.pipeline(variant);
    const { device } = this;
    const uniform = device.createBuffer({ size: 256, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(uniform, 0, words(params));
    const made = [uniform];
    const results = [];
    const entries = [];
    for (const [binding, kind] of kinds) {
      if (kind === 'uniform') {
        entries.push({ binding, resource: { buffer: uniform, size: 256 } });
        continue;
      }
      const given = bindings[binding];
      if (given === undefined) throw new Error(`${variant}: binding ${binding} is not given`);
      if (given instanceof GPUBuffer) {
        entries.push({ binding, resource: { buffer: given } });
        continue;
      }
      const [[name, array]] = Object.entries(given);
      const buffer = this.buffer(array);
      made.push(buffer);
      entries.push({ binding, resource: { buffer } });
      if (kind === 'read_write') results.push({ name, array, buffer });
    }
    const group = device.createBindGroup({ layout, entries });
    const dispatch = (n) => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group, [0]);
      for (let i = 0; i < n; i++) pass.dispatchWorkgroups(...grid);
      pass.end();
      device.queue.submit([encoder.finish()]);
    };
    dispatch(1);
    const out = {};
    for (const { name, array, buffer } of results)
      out[name] = new array.constructor((await this.read(buffer)).buffer.slice(0, array.byteLength));
    if (repeat > 0) {
      const times = [];
      for (let i = 0; i < 5; i++) {
        await device.queue.onSubmittedWorkDone();
        const start = performance.now();
        dispatch(repeat);
        await device.queue.onSubmittedWorkDone();
        times.push((performance.now() - start) / repeat);
      }
      out.ms = times.sort((a, b) => a - b)[2];
    }
    for (const buffer of made) buffer.destroy();
    return out;
  }

  close() {
    this.device.destroy();
  }
}
