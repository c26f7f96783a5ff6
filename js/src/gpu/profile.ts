// Where the time of the GPU went, as it is told; profiler.ts measures it.

export interface ProfileRow {
  kernel: string;
  /** Dispatches. */
  count: number;
  ms: number;
  /** Of weights that were read, where kernels have any. */
  bytes: number;
}

/** The costliest first. `missing`: why nothing could be measured. */
export interface Profile {
  rows: ProfileRow[];
  missing?: string | undefined;
}
