import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One of our programs as a process of its own. Everything that it writes to standard error is kept. */
export class Child {
  readonly #process: ChildProcess;
  readonly ended: Promise<Ending>;
  errors = '';
  running = true;

  /** Runs a TypeScript file with this Node; `env` is its whole environment beside PATH. */
  constructor(file: string, args: readonly string[], env: Record<string, string>) {
    // Killed when the test's own process is, however that comes about.
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, file, ...args], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr?.on('data', (data: Buffer) => {
      this.errors += data.toString();
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => {
        this.running = false;
        resolve({ code, signal });
      });
    });
  }

  /** Whether it logged a line with this text. */
  saw(text: string): boolean {
    return this.errors.includes(text);
  }

  /** Waits for a line of its log. Throws with the whole log when it ends before. */
  async says(text: string): Promise<void> {
    while (!this.saw(text)) {
      if (!this.running) throw new Error(`the process ended without saying "${text}":\n${this.errors}`);
      await sleep(5);
    }
  }

  signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.#process.kill(name);
  }

  /** Kills it and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }
}
