import { createHash, randomUUID } from 'node:crypto';
import type { Avml } from '../avml/avml.ts';
import { type Fifo, openFifo } from '../avml/fifo.ts';
import type { ProcessExit, RunningProcess } from '../avml/process.ts';
import type { Refusal } from '../refusal.ts';
import { ChangeSignal } from './change-signal.ts';
import { Window, type WindowSize } from './window.ts';

/** How the acquisition ended: AVML is gone and every byte it wrote was read. */
export interface AcquisitionEnd extends ProcessExit {
  readonly bytes: number;
  readonly sha256: Uint8Array;
}

/** An acquisition, or why none was started. */
export type AcquisitionStart =
  | { readonly kind: 'started'; readonly acquisition: Acquisition }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** One run of AVML and the part of its output that is still held. It lives on when the connection to the collector does not. */
export class Acquisition {
  readonly id = randomUUID();
  readonly startedAt = new Date();
  readonly argv: readonly string[];
  readonly window: Window;
  /** Rings when bytes were read and when the acquisition has ended. */
  readonly changed = new ChangeSignal();
  readonly #hash = createHash('sha256');
  readonly #fifo: Fifo;
  readonly #process: RunningProcess;
  #firstByteAt: Date | undefined;
  #lastByteAt: Date | undefined;
  #end: AcquisitionEnd | undefined;

  /** Starts AVML writing the memory behind `kcore` into a new FIFO in `dir`; nothing of it is left when AVML is refused. */
  static async start(avml: Avml, kcore: string, dir: string, size?: WindowSize): Promise<AcquisitionStart> {
    const fifo = await openFifo(dir, randomUUID());
    try {
      const start = await avml.start(kcore, fifo.path);
      if (start.kind === 'started') {
        return { kind: 'started', acquisition: new Acquisition(start.argv, start.process, fifo, new Window(size)) };
      }
      fifo.close();
      return start;
    } catch (error) {
      fifo.close();
      throw error;
    }
  }

  private constructor(argv: readonly string[], process: RunningProcess, fifo: Fifo, window: Window) {
    this.argv = argv;
    this.#process = process;
    this.#fifo = fifo;
    this.window = window;
    void this.#run();
  }

  get firstByteAt(): Date | undefined {
    return this.#firstByteAt;
  }

  get lastByteAt(): Date | undefined {
    return this.#lastByteAt;
  }

  /** Undefined while AVML runs or bytes are still to be read. */
  get end(): AcquisitionEnd | undefined {
    return this.#end;
  }

  /** The collector holds everything below this offset. Lets AVML go on when it waited for room. */
  acknowledge(durableOffset: number): void {
    const wasFull = this.window.isFull;
    this.window.acknowledge(durableOffset);
    if (wasFull && !this.window.isFull) this.#fifo.resume();
  }

  /** Ends AVML at once; what it wrote before can still be sent. Again is harmless. */
  kill(): void {
    this.#process.kill();
  }

  /** Ends AVML and forgets everything that was not sent. */
  async abandon(): Promise<void> {
    this.#process.kill();
    this.#fifo.close();
    await this.#process.ended;
  }

  async #run(): Promise<void> {
    const read = this.#fifo.readInto({
      space: () => this.window.space(),
      filled: (count) => this.#filled(count),
    });
    const exit = await this.#process.ended;
    this.#fifo.closeWriter();
    // The reader fails only when the descriptor does; then what was read is all there is, and the exit facts cannot make it complete.
    const failure = await read.then(
      () => '',
      (error: Error) => `reading from the FIFO failed: ${error.message}`,
    );
    this.#fifo.close();
    this.window.end();
    this.#end = {
      ...exit,
      ...(failure === '' ? {} : { exitCode: -1, stderrTail: failure }),
      bytes: this.window.readBytes,
      sha256: this.#hash.digest(),
    };
    this.changed.ring();
  }

  #filled(count: number): boolean {
    const now = new Date();
    this.#firstByteAt ??= now;
    this.#lastByteAt = now;
    this.#hash.update(this.window.space().subarray(0, count));
    const goOn = this.window.filled(count);
    this.changed.ring();
    return goOn;
  }
}
