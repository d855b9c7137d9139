import type { Command } from 'commander';
import type { PodsMeant } from '../pods/resolve.ts';
import type { GlobalOptions } from '../session.ts';
import { type AnalysisOptions, addAnalysisOptions, choiceOf } from './analysis-options.ts';
import {
  captureText,
  exactText,
  examples,
  filled,
  key,
  labels,
  podReference,
  timeSpan,
  unmaskText,
} from './arguments.ts';
import { type Runs, SessionCommand } from './session-command.ts';

const defaultTimeout = '30m';

interface PodOptions {
  readonly pod?: readonly { readonly namespace: string; readonly name: string }[];
  readonly selector?: string;
  readonly podNamespace?: string;
  readonly allInNamespace?: string;
}

interface CaptureOptions extends PodOptions, AnalysisOptions {
  readonly reason: string;
  readonly wait?: true;
  readonly timeout?: number;
  readonly idempotencyKey?: string;
  readonly yes?: true;
}

interface WatchOptions {
  readonly plugin?: string;
  readonly unmask?: true;
  readonly timeout?: number;
}

/** `kcorder capture` and what follows a capture on its way. */
export function addCapture(program: Command, runs: Runs): void {
  addOrder(program, runs);
  addApproval(program, runs);
  addWatch(program, runs);
  addCancel(program, runs);
}

function addOrder(program: Command, { inSession }: Runs): void {
  const command = program
    .command('capture')
    .description("Order a capture of a node's memory, or of each node that some pods run on.")
    .argument('[node]', 'name of the node; instead of it, pods', filled)
    .option('--pod <namespace/name>', 'the node of this pod (repeatable)', podReference)
    .option('-l, --selector <labels>', 'the nodes of pods with these labels, such as app=web,tier!=cache', labels)
    .option('--pod-namespace <name>', 'with --selector: only pods of this namespace', filled)
    .option('--all-in-namespace <name>', 'the nodes of every pod of this namespace', filled)
    .requiredOption('--reason <text>', 'why: an incident number or a sentence; it stays in the evidence', filled)
    .option('--wait', 'wait for the end, then print the processes by pod')
    .option('--timeout <time>', `longest time to wait, with --wait (default ${defaultTimeout})`, timeSpan)
    .option('--idempotency-key <key>', 'the same key never makes a second capture of a node (default: a new one)', key)
    .option('-y, --yes', 'do not ask, however many nodes it is');
  addAnalysisOptions(command)
    .addHelpText(
      'after',
      examples(
        'kcorder capture node-1 --reason "INC-4711 beacon to 203.0.113.9" --wait',
        'kcorder capture --pod shop/checkout-7d9c4f6b8-x2x5q --reason INC-4711 --wait',
        'kcorder capture -l app=checkout --pod-namespace shop --reason INC-4711 --yes',
        'kcorder capture --all-in-namespace shop --reason INC-4711 -o json',
        'kcorder capture node-1 --reason INC-4711 --wait --timeout 2h --idempotency-key INC-4711-1',
        'kcorder capture node-1 --reason INC-4711 --profile deep',
      ),
    )
    .action((node: string | undefined, options: CaptureOptions, command: Command) => {
      if (options.timeout !== undefined && options.wait !== true)
        command.error('error: --timeout says how long --wait waits: give both or neither.');
      const meant = meantBy(node, options, command);
      const { reason, idempotencyKey } = options;
      const analysis = choiceOf(options, command);
      const given = {
        ...(analysis === undefined ? {} : { analysis }),
        reason,
        wait: options.wait === true,
        timeoutMs: options.timeout ?? timeSpan(defaultTimeout),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      };
      return inSession(async (session) => {
        if (typeof meant === 'string') {
          const { capture } = await import('../commands/capture.ts');
          return capture(session, meant, given);
        }
        const { capturePods } = await import('../commands/capture-pods.ts');
        return capturePods(session, meant, { ...given, yes: options.yes === true });
      });
    });
}

/** The node, or the pods: exactly one way to say it. */
function meantBy(node: string | undefined, options: PodOptions, command: Command): string | PodsMeant {
  const { pod, selector, podNamespace, allInNamespace } = options;
  const ways = [node, pod, selector, allInNamespace].filter((way) => way !== undefined);
  if (ways.length !== 1)
    return command.error('error: give one of these: a node, --pod, --selector or --all-in-namespace.');
  if (podNamespace !== undefined && selector === undefined)
    return command.error('error: --pod-namespace goes with --selector: --pod takes NAMESPACE/NAME.');
  if (node !== undefined) return node;
  if (pod !== undefined) return { case: 'pods', pods: pod };
  if (selector !== undefined) return { case: 'selector', namespace: podNamespace ?? '', labels: selector };
  return { case: 'namespace', namespace: allInNamespace ?? '' };
}

function addApproval(program: Command, { inSession }: Runs): void {
  program
    .command('approve')
    .description('Allow somebody else one capture of a node, where the collector asks for a second person.')
    .argument('<node>', 'name of the node', filled)
    .requiredOption('--reason <text>', 'word for word the reason of the capture that it allows', filled)
    .option('--for <time>', 'how long it stays good, up to a day (default 1h)', timeSpan)
    .addHelpText(
      'after',
      examples(
        'kcorder approve node-1 --reason "INC-4711 beacon to 203.0.113.9"',
        'kcorder approve node-1 --reason INC-4711 --for 4h',
      ),
    )
    .action((node: string, options: { reason: string; for?: number }) =>
      inSession(async (session) => {
        const { approve } = await import('../commands/approve.ts');
        return approve(session, node, options.reason, options.for);
      }),
    );
}

function addWatch(program: Command, { inSession }: Runs): void {
  const command = program
    .command('watch')
    .description('Follow a capture and its analysis to the end, then print the processes by pod.')
    .argument('<capture|node>', captureText, filled)
    .option('--plugin <name>', 'print the rows of this plugin or kind as they are found, and nothing else', filled)
    .option('--unmask', `with --plugin: ${unmaskText}`)
    .option('--timeout <time>', `longest time to wait (default ${defaultTimeout})`, timeSpan)
    .addHelpText(
      'after',
      examples(
        'kcorder watch node-1',
        'kcorder watch c20261124t093730 --timeout 2h -o json',
        'kcorder watch c20261124t093730 --plugin sockets -o jsonl',
      ),
    )
    .action((target: string, { plugin, unmask, timeout }: WatchOptions, own: Command) => {
      if (unmask === true && plugin === undefined) own.error('error: --unmask is about rows: give --plugin too.');
      checkForm(own, plugin);
      const timeoutMs = timeout ?? timeSpan(defaultTimeout);
      return inSession(async (session) => {
        if (plugin !== undefined) {
          const { watchRows } = await import('../commands/watch-rows.ts');
          return watchRows(session, target, plugin, { timeoutMs, unmask: unmask === true });
        }
        const { watch } = await import('../commands/watch.ts');
        return watch(session, target, timeoutMs);
      });
    });
  if (command instanceof SessionCommand) command.printsBoth();
}

/** A capture is no row, and rows are no document of YAML. */
function checkForm(own: Command, plugin: string | undefined): void {
  const { output: form } = own.optsWithGlobals<GlobalOptions>();
  if (form === 'csv' && plugin === undefined) own.error('error: -o csv is for rows: give --plugin too.');
  if (form === 'yaml' && plugin !== undefined) own.error('error: rows are not printed as YAML: give -o json or jsonl.');
}

function addCancel(program: Command, { inSession }: Runs): void {
  program
    .command('cancel')
    .description('Stop a running capture, or with --analysis its analysis; what was acquired is kept.')
    .argument('<capture>', exactText, filled)
    .option('--analysis', 'stop its analysis, which waits or runs; plugins that have ended keep their rows')
    .addHelpText(
      'after',
      examples('kcorder cancel c20261124t093730-bdaad11c', 'kcorder cancel c20261124t093730-bdaad11c --analysis'),
    )
    .action((id: string, options: { analysis?: true }) =>
      inSession(async (session) => {
        const { cancel, cancelAnalysis } = await import('../commands/cancel.ts');
        return options.analysis === true ? cancelAnalysis(session, id) : cancel(session, id);
      }),
    );
}
