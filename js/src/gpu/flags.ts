// Bits of the WebGPU specification: browsers have them as globals, Node and the types of TypeScript do not.
export const BUFFER = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  QUERY_RESOLVE: 0x200,
} as const;
export const MAP_READ = 0x1;
export const MAP_WRITE = 0x2;
export const STAGE_COMPUTE = 0x4;
