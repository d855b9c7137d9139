import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** An empty folder that goes away with its holder. */
export function makeScratch(): Disposable & { readonly dir: string } {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-'));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * Waits until a look gives something; the test's own time limit is the only limit. A look that takes a processor from what it waits for, such as
 * a call for an answer that is minutes away, is not had every 10 ms.
 */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  everyMs = 10,
): Promise<T> {
  while (true) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await sleep(everyMs);
  }
}
