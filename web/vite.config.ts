import { defineConfig } from 'vite'

// `npm run dev` shows the page with the figures of a server that runs at the default address.
const server = 'http://127.0.0.1:11434'

export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: { target: 'es2021', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: Object.fromEntries(['/api', '/hearth', '/health', '/metrics'].map((path) => [path, server])) },
})
