// A GPU: found in a browser's worker, or in Node through the optional package "webgpu" (Dawn), asked for all that it has,
// and described.
import { SottoError } from '../errors.ts';
import type { GpuInfo } from '../protocol.ts';
import { Health } from './health.ts';

export interface DeviceOptions {
  /** Node: options of Dawn, "KEY=VALUE" each, as its create() takes them, in place of the defaults of the same KEY. */
  dawn?: readonly string[] | undefined;
  /** Node: the package to import, or its path. Default: $SOTTO_WEBGPU_MODULE, or "webgpu". */
  module?: string | undefined;
  /** Default 'high-performance'. */
  powerPreference?: GPUPowerPreference | undefined;
  /** Those of FEATURES that may be used. Default: all. */
  features?: readonly string[] | undefined;
  /** 'default': those that every device has. Default: the adapter's own. */
  limits?: 'adapter' | 'default' | undefined;
  /** Take no software adapter. */
  hardwareOnly?: boolean | undefined;
}

/** What a person wants to know of an adapter. Texts may be empty, as browsers tell little. */
export interface AdapterAbout {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** It computes on the CPU. */
  software: boolean;
  /** In use. */
  features: string[];
  /** Lanes of a subgroup, least and most. */
  subgroups?: [number, number] | undefined;
  limits: { maxBufferSize: number; maxStorageBufferBindingSize: number; maxComputeWorkgroupStorageSize: number };
}

export interface OpenedDevice {
  device: GPUDevice;
  about: AdapterAbout;
  /** gpu_traits of src/gpu/gpu.h, word by word. */
  traits: Uint32Array<ArrayBuffer>;
  health: Health;
  close(): void;
}

/** Words of gpu_traits. */
export const TRAIT = {
  maxBindingBytes: 0,
  maxBufferBytes: 1,
  maxWorkgroupBytes: 2,
  maxInvocations: 3,
  f16: 4,
  subgroupMin: 5,
  subgroupMax: 6,
  matrix: 7,
  packedDot: 8,
  manyPath: 9,
  software: 10,
} as const;
const TRAIT_WORDS = 16;

/** Paths of linear_many: the values of many_path. */
export const MANY_F32 = 0;
export const MANY_F16 = 1;
export const MANY_MATRIX = 2;
/** A way beside them, that packed_dot tells of. */
export const MANY_PACKED = 3;

const MATRIX = 'chromium-experimental-subgroup-matrix';
/** Asked for where the adapter has them. */
export const FEATURES = ['shader-f16', 'subgroups', MATRIX, 'timestamp-query'] as const;

const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'minUniformBufferOffsetAlignment',
] as const;

/** Of subgroup matrices, as Chromium tells it. */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** What newer browsers tell beside the types of TypeScript. */
type Info = GPUAdapterInfo & { isFallbackAdapter?: boolean; subgroupMatrixConfigs?: Iterable<MatrixConfig> };

/** The largest number of a u32 that is a multiple of 4. */
const MOST_BYTES = 2 ** 32 - 4;

/** Opens a GPU. Throws a SottoError with code `gpu` that says why there is none. */
export async function openDevice(options: DeviceOptions = {}): Promise<OpenedDevice> {
  const { features = FEATURES, limits = 'adapter' } = options;
  const { gpu, adapter, info, software } = await findAdapter(options);
  if (software && options.hardwareOnly)
    throw new SottoError('gpu', `No GPU can be used here: WebGPU runs in software (${nameOf(info)}).`);

  const wanted = FEATURES.filter((name) => features.includes(name) && adapter.features.has(name));
  const requiredFeatures = wanted as GPUFeatureName[]; // TypeScript does not know all of them
  const requiredLimits: Record<string, number> = {};
  if (limits === 'adapter') for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  const descriptor = { label: 'sotto', requiredFeatures, requiredLimits };
  const device = await adapter.requestDevice(descriptor).catch((error: Error) => {
    throw new SottoError('gpu', `The GPU could not be opened (${error.message}).`);
  });
  const health = new Health();
  health.watch(device);

  const has = (name: string): boolean => device.features.has(name);
  const subgroups: [number, number] | undefined = has('subgroups')
    ? [info.subgroupMinSize ?? 4, info.subgroupMaxSize ?? 128]
    : undefined;
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = device.limits;
  const matrix = has(MATRIX) && [...(info.subgroupMatrixConfigs ?? [])].some(isMatrix16);
  const packedDot = gpu.wgslLanguageFeatures?.has('packed_4x8_integer_dot_product') ?? false;

  const traits = new Uint32Array(TRAIT_WORDS);
  traits[TRAIT.maxBindingBytes] = Math.min(maxStorageBufferBindingSize, MOST_BYTES);
  traits[TRAIT.maxBufferBytes] = Math.min(maxBufferSize, MOST_BYTES);
  traits[TRAIT.maxWorkgroupBytes] = maxComputeWorkgroupStorageSize;
  traits[TRAIT.maxInvocations] = Math.min(
    device.limits.maxComputeInvocationsPerWorkgroup,
    device.limits.maxComputeWorkgroupSizeX,
  );
  traits[TRAIT.f16] = Number(has('shader-f16'));
  [traits[TRAIT.subgroupMin], traits[TRAIT.subgroupMax]] = subgroups ?? [0, 0];
  traits[TRAIT.matrix] = Number(matrix && has('shader-f16'));
  traits[TRAIT.packedDot] = Number(packedDot);
  traits[TRAIT.software] = Number(software);
  traits[TRAIT.manyPath] = MANY_F32; // until it is measured: tune.ts

  const { vendor, architecture, device: deviceName, description } = info;
  return {
    device,
    about: {
      ...{ vendor, architecture, device: deviceName, description, software, subgroups },
      features: [...requiredFeatures],
      limits: { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize },
    },
    traits,
    health,
    close: () => device.destroy(),
  };
}

/** What would be opened, without opening it. Throws as openDevice does. */
export async function describeAdapter(options: DeviceOptions = {}): Promise<GpuInfo> {
  const { adapter, info, software } = await findAdapter(options);
  return { adapter: nameOf(info), software, features: toldFeatures(FEATURES.filter((name) => adapter.features.has(name))) };
}

/** Those that the kernels use, so not that it can take the time. */
export const toldFeatures = (features: readonly string[]): string[] => features.filter((name) => name !== 'timestamp-query');

/** One line: "NVIDIA H200", or whatever the browser tells. */
export const nameOf = ({ vendor, architecture, description, device }: Partial<AdapterAbout>): string =>
  description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unknown';

const isMatrix16 = ({ componentType, resultComponentType, M, N, K }: MatrixConfig): boolean =>
  componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16;

const isSoftware = ({ isFallbackAdapter, vendor, architecture, device, description }: Info): boolean =>
  (isFallbackAdapter ?? false) ||
  /swiftshader|llvmpipe|lavapipe|basic render/i.test([vendor, architecture, device, description].join());

// ---- where WebGPU comes from ----

async function findAdapter(options: DeviceOptions): Promise<{ gpu: GPU; adapter: GPUAdapter; info: Info; software: boolean }> {
  const gpu = await findGpu(options);
  const { powerPreference = 'high-performance' } = options;
  const adapter = await gpu.requestAdapter({ powerPreference }).catch(() => null);
  if (!adapter) throw new SottoError('gpu', 'No GPU can be used here: WebGPU finds no adapter.');
  const info = adapter.info as Info;
  return { gpu, adapter, info, software: isSoftware(info) };
}

/** Kept while the process lives: a device does not outlive what it came from. */
const opened: GPU[] = [];

async function findGpu({ dawn = [], module }: DeviceOptions): Promise<GPU> {
  const here = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (here) return here;
  const versions = (globalThis as { process?: { versions?: { node?: string } } }).process?.versions;
  if (!versions?.node) throw new SottoError('gpu', `No GPU can be used here: ${whyNoGpu()}.`);
  const name = module ?? process.env['SOTTO_WEBGPU_MODULE'] ?? 'webgpu';
  const { create } = await import(/* @vite-ignore */ name).catch((error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ERR_MODULE_NOT_FOUND';
    throw new SottoError(
      'gpu',
      missing
        ? `Node has no WebGPU of its own; "npm install webgpu" adds it (${name} was not found).`
        : `The package ${name} cannot be loaded (${error.message}).`,
    );
  });
  const gpu: GPU = create(dawnOptions(dawn));
  opened.push(gpu);
  return gpu;
}

const whyNoGpu = (): string =>
  (globalThis as { isSecureContext?: boolean }).isSecureContext === false
    ? 'browsers offer WebGPU only to pages from https: or localhost'
    : 'this browser offers no WebGPU';

/** Defaults for what the caller leaves open. */
function dawnOptions(given: readonly string[]): string[] {
  const defaults = ['enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia'];
  // On Linux Dawn would go on to OpenGL where Vulkan finds nothing.
  if (process.platform === 'linux') defaults.push('backend=vulkan');
  const keyOf = (option: string): string => option.split('=')[0];
  const keys = new Set(given.map(keyOf));
  return [...given, ...defaults.filter((option) => !keys.has(keyOf(option)))];
}
