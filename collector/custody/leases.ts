/** Who uses what, by its id: many at once, or one alone. */
export class Leases {
  readonly #held = new Map<string, number>();
  readonly #alone = new Map<string, Promise<void>>();

  /** Waits while somebody has it alone. */
  async take(id: string): Promise<Disposable> {
    for (let other = this.#alone.get(id); other !== undefined; other = this.#alone.get(id)) await other;
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        const left = (this.#held.get(id) ?? 0) - 1;
        if (left > 0) this.#held.set(id, left);
        else this.#held.delete(id);
      },
    };
  }

  held(id: string): boolean {
    return this.#held.has(id);
  }

  /** Runs `work` with it alone; false, and nothing done, when others have it. Rejects as `work` does. */
  async alone(id: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#held.has(id) || this.#alone.has(id)) return false;
    const working = Promise.resolve().then(work);
    const ended = working.catch(() => {}).finally(() => this.#alone.delete(id));
    this.#alone.set(id, ended);
    await working;
    return true;
  }
}
