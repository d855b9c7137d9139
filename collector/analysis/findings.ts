import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { Finding } from '../journal/finding-journal.ts';
import { plain } from '../plain.ts';
import type { AnalysisReport } from './analysis.ts';

/**
 * Every rule, the gravest first. What one of them finds is worth a look, not a verdict: an image is hostile, and upgrades replace programs that
 * run.
 */
export type FindingRule =
  /** The kernel in the image is not the one that the node told: the image is another machine's, or somebody lied. */
  | 'kernel_mismatch'
  /** A process that only one of the kernel's lists has: the list of tasks, or the table of PIDs, by which the node itself lists processes. */
  | 'hidden_process'
  /** A module is loaded that the kernel does not list: it has taken itself off the list. */
  | 'hidden_module'
  /** A program that was never a file: loaded into memory and run from there. */
  | 'executable_in_memory'
  /** A program on /dev/shm, which is memory that anybody can write to and that no reboot keeps. */
  | 'executable_in_shared_memory'
  /** A program that calls itself like a thread of the kernel. */
  | 'kernel_thread_impersonated'
  /** A program whose file is gone. In a pod nobody upgrades anything; on the node upgrades do that. */
  | 'executable_deleted';

/** What the rules look at besides the report. */
export type Suspect = Pick<Process, 'pid' | 'name' | 'kernelThread' | 'executable' | 'commandLine' | 'placement'> &
  Pick<Process, 'inTaskList' | 'inPidTable' | 'hidden'>;

const mostOfARule = 50;
const textLimit = 120;
const deletedMark = ' (deleted)';
// runc starts every container from a copy of itself in memory, which lives for a moment.
const runcCopy = /^\/memfd:runc_cloned:/;
const threadName = /^(\[[^\s\]]+\]|k(worker|softirqd|swapd|threadd|compactd|auditd)(\/|\d*$))/;

/**
 * What a responder should look at, the gravest first. `hiddenModules` are names. Details name processes, never their arguments.
 */
export function findingsOf(
  report: AnalysisReport,
  processes: readonly Suspect[],
  hiddenModules: readonly string[],
): Finding[] {
  const critical = (rule: FindingRule, detail: string): Finding => ({ severity: 'critical', rule, detail });
  const mismatch = critical(
    'kernel_mismatch',
    'the kernel in the image is not the one that the node told: find out where the image comes from',
  );
  const hidden = hiddenModules.map((name) =>
    critical('hidden_module', `the kernel has a module loaded that it does not list: ${plain(name, textLimit)}`),
  );
  const hiding = processes.flatMap((process) => hidingOf(process) ?? []);
  const found = processes.flatMap((process) => findingOf(process) ?? []);
  const grave = (finding: Finding) => (finding.severity === 'warning' ? 0 : 1);
  return [
    ...(report.kernelMismatch ? [mismatch] : []),
    ...bounded(hiding.filter(({ severity }) => severity === 'critical')),
    ...bounded(hidden),
    ...bounded(found).sort((a, b) => grave(a) - grave(b)),
    ...bounded(hiding.filter(({ severity }) => severity !== 'critical')),
  ];
}

function hidingOf(process: Suspect): Finding | undefined {
  const { hidden, inTaskList, inPidTable } = process;
  if (inTaskList !== false && inPidTable !== false) return undefined;
  const missing =
    inTaskList === false ? "the kernel's list of tasks" : "the kernel's table of PIDs, and so not in /proc";
  const why = hidden
    ? 'it lives, and was not there only for a part of the time in which the memory was read: something in the kernel hides it'
    : 'it began or ended while the memory was read, or something hides it: capture the node again and compare';
  return {
    severity: hidden ? 'critical' : 'info',
    rule: 'hidden_process',
    detail: `${who(process)} is not in ${missing}: ${why}`,
  };
}

function findingOf(process: Suspect): Finding | undefined {
  const { kernelThread, executable } = process;
  // Without a path that was read there is nothing to judge by.
  if (kernelThread || !executable.startsWith('/')) return undefined;
  const find = (severity: Finding['severity'], rule: FindingRule, what: string): Finding => ({
    severity,
    rule,
    detail: `${who(process)} ${what}`,
  });
  const path = plain(executable, textLimit);
  const deleted = executable.endsWith(deletedMark);
  if (executable.startsWith('/memfd:') && deleted) {
    const severity = runcCopy.test(executable) ? 'info' : 'warning';
    return find(severity, 'executable_in_memory', `runs a program that is no file: ${path}`);
  }
  if (executable.startsWith('/dev/shm/'))
    return find('warning', 'executable_in_shared_memory', `runs a program from shared memory: ${path}`);
  if (threadName.test(process.name) || threadName.test(process.commandLine ?? ''))
    return find('warning', 'kernel_thread_impersonated', `calls itself like a thread of the kernel and runs ${path}`);
  if (deleted) {
    const severity = process.placement === undefined ? 'info' : 'warning';
    return find(severity, 'executable_deleted', `runs a program whose file is gone: ${path}`);
  }
  return undefined;
}

function who({ pid, name, placement }: Suspect): string {
  const process = `process ${pid} (${plain(name, textLimit)})`;
  if (placement === undefined) return `${process} of the node`;
  const { podNamespace, podName, podUid } = placement;
  return `${process} of pod ${plain(podName === '' ? podUid : `${podNamespace}/${podName}`, textLimit)}`;
}

/** At most so many of a rule and severity, the last of them telling how many more there are. */
function bounded(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ rule, severity }) => `${rule} ${severity}`);
  return [...groups.values()].flatMap((group) => {
    const [last] = group.slice(mostOfARule - 1);
    if (last === undefined || group.length === mostOfARule) return group;
    const more = group.length - mostOfARule + 1;
    return [
      ...group.slice(0, mostOfARule - 1),
      { ...last, detail: `and ${more} more of the same: see the rows of the analysis` },
    ];
  });
}
