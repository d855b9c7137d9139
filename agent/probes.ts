import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';

/** Half of what whoever looks at the file may take for a sign of life. */
const everyMs = 5_000;

/**
 * Two files by which the kubelet sees how the agent is, which listens on nothing: `alive` is written anew every 5 s as long as the event loop turns,
 * `ready` is there exactly while a capture could be ordered: the agent is attached and AVML is the one that it should be.
 */
export class Probes {
  readonly #alive: string;
  readonly #ready: string;
  readonly #isIntact: () => boolean;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isAttached = false;
  #failed = false;

  /** `isIntact` is asked often: whether AVML may run. */
  constructor(dir: string, isIntact: () => boolean, log: Logger) {
    this.#alive = join(dir, 'alive');
    this.#ready = join(dir, 'ready');
    this.#isIntact = isIntact;
    this.#log = log;
  }

  /** Removes what an agent that was killed left, and is alive from now on. */
  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#timer.unref();
  }

  /** The agent has attached, or is attached no longer. */
  attached(isAttached: boolean): void {
    this.#isAttached = isAttached;
    this.#look();
  }

  /** Removes both. */
  close(): void {
    clearInterval(this.#timer);
    rmSync(this.#ready, { force: true });
    rmSync(this.#alive, { force: true });
  }

  #look(): void {
    try {
      const now = `${new Date().toISOString()}\n`;
      writeFileSync(this.#alive, now, { mode: 0o600 });
      if (this.#isAttached && this.#isIntact()) writeFileSync(this.#ready, now, { mode: 0o600 });
      else rmSync(this.#ready, { force: true });
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#log.error({ causes: causeChain(error) }, 'the files of the probes cannot be written');
      this.#failed = true;
    }
  }
}
