import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

const gateway = process.env.TONGPIN_GATEWAY ?? 'http://127.0.0.1:8080'

export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  // `npm run dev` serves the page and hands the API on to a gateway that runs beside it.
  server: { proxy: { '/api': { target: gateway, ws: true } } },
})
