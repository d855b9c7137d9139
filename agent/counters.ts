import type { ProcessExit } from './avml/process.ts';
import type { Window } from './capture/window.ts';

/** How AVML can end, for counting. */
export type ExitClass = 'ok' | 'failed' | 'signal';

/** What an agent has done since its start, in plain numbers: kept always, told only when somebody asks for metrics. */
export class Counters {
  attached = false;
  sentBytes = 0;
  /** Streams that went on with an upload which had broken off. */
  resumptions = 0;
  readonly exits: Record<ExitClass, number> = { ok: 0, failed: 0, signal: 0 };
  #window: Window | undefined;
  #readBytes = 0;

  /** A capture has begun whose bytes pass through this window. */
  began(window: Window): void {
    this.#window = window;
  }

  /** It is over; `exit` is how AVML ended, when that is known. */
  ended(exit: ProcessExit | undefined): void {
    this.#readBytes += this.#window?.readBytes ?? 0;
    this.#window = undefined;
    if (exit === undefined) return;
    this.exits[exit.signal !== '' ? 'signal' : exit.exitCode === 0 ? 'ok' : 'failed'] += 1;
  }

  /** Bytes of memory that AVML has handed over. */
  get readBytes(): number {
    return this.#readBytes + (this.#window?.readBytes ?? 0);
  }

  /** Bytes that are read and not yet durable at the collector. */
  get heldBytes(): number {
    return this.#window === undefined ? 0 : this.#window.readBytes - this.#window.heldFrom;
  }

  get capturesRunning(): number {
    return this.#window === undefined ? 0 : 1;
  }
}
