import { Fault } from '@kcorder/proto/fault.ts';
import type { Environment } from '../config.ts';
import { clusterTarget, isDirect } from '../connect/target.ts';
import type { Check } from '../doctor/checks/check.ts';
import { examine } from '../doctor/examine.ts';
import { exitCode } from '../exit-code.ts';
import type { Terminal } from '../output/terminal.ts';
import { checksText } from '../render/checks.ts';
import { faceOf, type GlobalOptions } from '../session.ts';

/** `kcorder doctor`: what stands in the way of kcorder in a cluster. The exit code is 1 when something does. */
export async function doctor(options: GlobalOptions, environment: Environment, terminal: Terminal): Promise<number> {
  if (isDirect(options, environment)) {
    const isOption = options.collector !== undefined || options.tlsDir !== undefined;
    const [named, todo] = isOption
      ? ['--collector and --tls-dir name', 'Leave them out']
      : ['KCORDER_COLLECTOR names', 'Unset it, or name a cluster with --context or --kubeconfig'];
    throw new Fault('config_invalid', `doctor looks at a cluster, and ${named} a collector outside of one. ${todo}.`);
  }
  const checks: Check[] = [];
  for await (const found of examine(clusterTarget(options, environment), terminal.interrupt)) checks.push(found);
  faceOf(options, environment, terminal).print({
    document: () => checks.map(({ todo, ...check }) => ({ ...check, todo: todo ?? null })),
    table: (look) => checksText(checks, look),
  });
  return checks.some(({ state }) => state === 'fail') ? exitCode.failure : exitCode.ok;
}
