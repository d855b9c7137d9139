import type { Clock } from '../clock.ts';

/** A clock whose time passes when it is told to. */
export class FakeClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  #number = 0;
  #timers: { readonly atMs: number; readonly number: number; readonly body: () => void }[] = [];

  constructor(wall: string) {
    this.#wallMs = Date.parse(wall);
  }

  wall(): Date {
    return new Date(this.#wallMs + this.#monotonicMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(ms: number, body: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + ms, number: this.#number, body };
    this.#number += 1;
    const at = this.#timers.findIndex(({ atMs }) => atMs > timer.atMs);
    this.#timers.splice(at === -1 ? this.#timers.length : at, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Somebody sets the clock on the wall. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.setTimer(ms, resolve));
  }

  /** Lets so much time pass, timer after timer; whatever a timer leads to at once is over before the next. */
  async pass(ms: number, after: () => void = () => undefined): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settled();
    while (true) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
      next.body();
      await settled();
      after();
    }
    this.#monotonicMs = endMs;
  }
}

const settled = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));
