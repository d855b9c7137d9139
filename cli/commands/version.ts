import { readFileSync } from 'node:fs';
import type { Environment } from '../config.ts';
import { exitCode } from '../exit-code.ts';
import { tableOf } from '../output/grid.ts';
import type { Terminal } from '../output/terminal.ts';
import type { GlobalOptions } from '../session.ts';
import { addressOf, faceOf, openSession } from '../session.ts';

/** `kcorder version`: this program's version and, where a collector is configured, the collector's. */
export async function version(options: GlobalOptions, environment: Environment, terminal: Terminal): Promise<number> {
  const { print } = faceOf(options, environment, terminal);
  const own = ownVersion();
  if (addressOf(options, environment) === undefined) {
    show(print, own, undefined);
    return exitCode.ok;
  }
  const session = openSession(options, environment, terminal);
  try {
    const collector = await session.calls.getVersion({}, { signal: terminal.interrupt });
    show(print, own, collector.version);
    return exitCode.ok;
  } catch (error) {
    show(print, own, undefined);
    throw error;
  } finally {
    session.close();
  }
}

function show(print: ReturnType<typeof faceOf>['print'], own: string, collector: string | undefined): void {
  const versions = { kcorder: own, ...(collector === undefined ? {} : { collector }) };
  print({
    document: () => versions,
    table: (look) => tableOf([{ title: 'PROGRAM' }, { title: 'VERSION' }], Object.entries(versions), look),
  });
}

/** The version in the package file beside this program. */
function ownVersion(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const found =
    typeof description === 'object' && description !== null && 'version' in description ? description.version : '';
  return String(found);
}
