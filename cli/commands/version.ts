import { existsSync, readFileSync } from 'node:fs';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Environment } from '../config.ts';
import { isTargetGiven } from '../connect/target.ts';
import { exitCode } from '../exit-code.ts';
import { tableOf } from '../output/grid.ts';
import type { Terminal } from '../output/terminal.ts';
import type { GlobalOptions } from '../session.ts';
import { faceOf, openSession } from '../session.ts';

const patienceMs = 4000;

/** `kcorder version`: this program's version and, where a collector is within reach, the collector's. */
export async function version(options: GlobalOptions, environment: Environment, terminal: Terminal): Promise<number> {
  const { print, note } = faceOf(options, environment, terminal);
  const own = ownVersion();
  const asked = isTargetGiven(options, environment);
  if (!asked && !environment.kubeconfigs.some((path) => existsSync(path))) {
    show(print, own, undefined);
    return exitCode.ok;
  }
  // Nobody asked for a collector: then a kubeconfig that leads to none is no failure, and nothing to wait for.
  const interrupt = asked ? terminal.interrupt : AbortSignal.any([terminal.interrupt, AbortSignal.timeout(patienceMs)]);
  try {
    show(print, own, await collectorVersion(options, environment, { ...terminal, interrupt }));
  } catch (error) {
    show(print, own, undefined);
    const fault = Fault.from(error);
    if (asked || terminal.interrupt.aborted) throw error;
    const why = interrupt.aborted ? `no answer within ${patienceMs / 1000} s` : fault.message;
    note(`The version of a collector is not known: ${why}`);
  }
  return exitCode.ok;
}

async function collectorVersion(options: GlobalOptions, environment: Environment, terminal: Terminal): Promise<string> {
  const session = await openSession(options, environment, terminal);
  try {
    return (await session.calls.getVersion({}, { signal: terminal.interrupt })).version;
  } catch (error) {
    throw session.explained(Fault.from(error));
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
