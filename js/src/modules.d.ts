// Put in place by the build: the file for browsers, or the one for Node.
declare module '@host' {
  export const host: import('./host.js').Host;
}
declare module '@platform' {
  export const platform: import('./platform.js').Platform;
}
declare module '@thread-host' {
  export function onSeat(sit: (seat: import('./wasm.js').ThreadSeat) => void): void;
}
