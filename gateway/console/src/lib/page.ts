/** What a page does to stay awake and up to date. */

/** Keep the screen on while the page is seen; the answer ends it. */
export function watchWake(): () => void {
  let lock: WakeLockSentinel | null = null
  let isOver = false
  const take = (): void => {
    const wakeLock = navigator.wakeLock as WakeLock | undefined
    if (document.hidden || isOver) return
    wakeLock?.request('screen').then(
      (taken) => {
        lock = taken
        if (isOver) void taken.release()
      },
      // A machine that is low on power refuses: nothing is lost but the light.
      () => undefined,
    )
  }
  take()
  document.addEventListener('visibilitychange', take)
  return () => {
    isOver = true
    document.removeEventListener('visibilitychange', take)
    void lock?.release()
  }
}

/** The script that a page of the console starts with; its name has the hash of what is in it. */
export function entryOf(html: string): string | null {
  return /<script[^>]*\ssrc="([^"]+)"/.exec(html)?.[1] ?? null
}

/** Whether the gateway has another console than the one that runs here. */
export async function isNewer(): Promise<boolean> {
  try {
    const answer = await fetch('./', { cache: 'no-cache' })
    const entry = entryOf(await answer.text())
    const own = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute('src') ?? null
    return answer.ok && entry !== null && own !== null && entry !== own
  } catch {
    return false
  }
}

/** The worker makes the console installable and says the truth when the gateway is away; it keeps no old console. */
export function registerWorker(): void {
  if ('serviceWorker' in navigator) void navigator.serviceWorker.register('./worker.js').catch(() => undefined)
}
