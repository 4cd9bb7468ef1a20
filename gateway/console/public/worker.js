// Network first and nothing else: an old console that is served silently would be a danger. When the gateway cannot be
// reached, a page says so and tries again. Everything but opening the page goes past this worker.
const AWAY = 'away.html'

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open('away')
      .then((cache) => cache.add(new Request(AWAY, { cache: 'reload' })))
      .then(() => self.skipWaiting()),
  )
})

self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim())
})

self.addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate') return
  event.respondWith(fetch(event.request).catch(async () => (await caches.match(AWAY)) ?? Response.error()))
})
