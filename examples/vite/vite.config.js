import { defineConfig } from 'vite';

// These two headers let the page have threads. Without them everything works, on one thread.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  // The package finds its worker and engine beside its own files, so the development server must not move them.
  optimizeDeps: { exclude: ['sotto'] },
  server: { headers },
  preview: { headers },
  build: { target: 'es2022', assetsInlineLimit: 0 },
});
