/** How long to wait before trying again: longer each time, never the same for all (they would all come at once). */
export class Backoff {
  #tries = 0

  constructor(
    private readonly firstMs = 400,
    private readonly longestMs = 8_000,
    private readonly random: () => number = Math.random,
  ) {}

  nextMs(): number {
    const wholeMs = Math.min(this.longestMs, this.firstMs * 1.8 ** this.#tries)
    this.#tries = Math.min(this.#tries + 1, 30)
    return Math.round(wholeMs * (0.5 + 0.5 * this.random()))
  }

  reset(): void {
    this.#tries = 0
  }
}
