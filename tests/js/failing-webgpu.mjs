// The package `webgpu`, with devices that fail: SOTTO_TEST_GPU is a list, with commas between, of what becomes of one device after the other:
//   lose@N    it is lost when it gets its N-th command encoder        memory@BYTES    its buffers may have so many bytes together
//   lose@PATH ... when it gets one while there is such a file
// Later devices do not fail. SOTTO_TEST_ADAPTER: what the adapter says that it is. SOTTO_WEBGPU_MODULE names this file.
import { existsSync } from 'node:fs';
import { create as createReal, globals } from 'webgpu';

const fates = (process.env.SOTTO_TEST_GPU ?? '').split(',').filter(Boolean);

function loseAt(device, when) {
  const make = device.createCommandEncoder.bind(device);
  const limit = Number(when);
  let n = 0;
  device.createCommandEncoder = (descriptor) => {
    if (++n === limit || (Number.isNaN(limit) && existsSync(when))) device.destroy();
    return make(descriptor);
  };
}

function bound(device, limit) {
  const make = device.createBuffer.bind(device);
  const pop = device.popErrorScope.bind(device);
  let bytes = 0;
  device.createBuffer = (descriptor) => {
    bytes += descriptor.size;
    return make(descriptor);
  };
  device.popErrorScope = async () => (await pop()) ?? (bytes > limit ? { message: 'out of memory, as the test wants it' } : null);
}

/** The adapter with another name. */
function named(adapter, vendor) {
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  const info = { vendor, architecture: '', device: '', description: '', subgroupMinSize, subgroupMaxSize };
  Object.defineProperty(adapter, 'info', { value: info });
}

export { globals };

export function create(options) {
  const gpu = createReal(options);
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (wanted) => {
    const adapter = await requestAdapter(wanted);
    if (process.env.SOTTO_TEST_ADAPTER) named(adapter, process.env.SOTTO_TEST_ADAPTER);
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      const [kind, n] = (fates.shift() ?? '').split('@');
      if (kind === 'lose') loseAt(device, n);
      if (kind === 'memory') bound(device, Number(n));
      return device;
    };
    return adapter;
  };
  return gpu;
}
