import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';

/** More is not a bundle of authorities. */
const largestBundle = 256 << 10;
const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * The authorities that a collector's certificate may come from: those of the file, and those that the collector named in its last answer. The
 * answer came over a connection that was checked with the same authorities, and makes a new one known before the file has it. It holds as long
 * as the file stays as it was: who takes an authority out of the file has taken it out.
 */
export class Trust {
  readonly #path: string;
  readonly #log: Logger;
  #pinned: readonly string[] = [];
  #named: readonly string[] = [];
  #problem: string | undefined;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Reads the file anew and gives all authorities as PEM. A file that cannot be used leaves the last good one; throws unavailable before the first. */
  bundle(): Buffer {
    try {
      const pinned = parseBundle(readFileSync(this.#path, 'utf8'));
      if (pinned.join() !== this.#pinned.join()) this.#named = [];
      this.#pinned = pinned;
      this.#problem = undefined;
    } catch (error) {
      this.#tell(`${this.#path}: ${error instanceof Error ? error.message : error}`, error);
    }
    return Buffer.from([...new Set([...this.#pinned, ...this.#named])].join(''));
  }

  /** Takes what the collector named; the answer must have come over a connection that `bundle` was used for. */
  add(named: string): void {
    try {
      this.#named = parseBundle(named);
    } catch (error) {
      this.#log.warn(
        { causes: causeChain(error) },
        'the trust bundle in the answer cannot be used; the file alone counts',
      );
    }
  }

  #tell(problem: string, cause: unknown): void {
    if (this.#pinned.length === 0) {
      throw new Fault('unavailable', `there is no authority to check the collector with: ${problem}`, { cause });
    }
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#log.error({ problem }, 'the file of authorities cannot be used; the last good one stays');
  }
}

/** The certificates of a PEM text, each in one form. Throws an Error with what is wrong. */
function parseBundle(text: string): string[] {
  if (text.length > largestBundle) throw new Error(`more than ${largestBundle} bytes`);
  const blocks = text.match(pemBlock) ?? [];
  if (blocks.length === 0) throw new Error('there is no certificate in it');
  return blocks.map((block) => new X509Certificate(block).toString());
}
