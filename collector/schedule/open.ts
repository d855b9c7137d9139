import { readBounded, TooLarge } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { LastGood } from '../background/last-good.ts';
import type { ClusterServices } from '../cluster/open.ts';
import type { Config } from '../config.ts';
import type { CaptureSlots } from '../fleet/capture-slots.ts';
import type { Captures } from '../fleet/captures.ts';
import { type Fleet, refusalsOf } from '../fleet/fleet.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { RunJournal } from '../journal/run-journal.ts';
import type { ScheduleJournal, ScheduleSpec, ScheduleTarget } from '../journal/schedule-journal.ts';
import { systemClock } from './clock.ts';
import { keyOf, reasonOf, requesterOf, type ScheduledNodes, type ScheduleEvents, type SchedulerDeps } from './deps.ts';
import type { ScheduledNode } from './planner.ts';
import { Schedules } from './schedules.ts';
import { readSchedules } from './schedules-text.ts';
import { sentenceOf } from './spec.ts';

/** What opening tells the rest of the collector. */
export interface OpenedScheduleEvents extends ScheduleEvents {
  /** The file could not be read or is wrong; the last good one holds. Told once for each new fault. */
  fileRefused(error: Fault): void;
  /** The file was read and holds. */
  fileTaken(schedules: number): void;
}

/** What schedules are made of. */
export interface OpenSchedulesDeps {
  readonly scheduleJournal: ScheduleJournal;
  readonly runs: RunJournal;
  readonly journal: CaptureJournal;
  readonly fleet: Fleet;
  readonly slots: CaptureSlots;
  readonly captures: Captures;
  /** Unset outside of a cluster. */
  readonly cluster?: Pick<ClusterServices, 'inStepAt' | 'nodeUid' | 'pressureOn' | 'nodesThatFit'>;
}

/** Schedules that run. */
export interface OpenedSchedules {
  readonly schedules: Schedules;
  /** Call it when an agent has attached. */
  agentAttached(): void;
  /** Looks at the file now; it is done every 15 s by itself. */
  lookAtFile(): Promise<void>;
  close(): void;
}

/** Opens the schedules and those of the configuration, and begins. Throws config_invalid that names all that is wrong with the file, storage_failed. */
export async function openSchedules(
  config: Pick<Config, 'schedulesFile' | 'approval'>,
  deps: OpenSchedulesDeps,
  events: OpenedScheduleEvents,
): Promise<OpenedSchedules> {
  const inCluster = deps.cluster !== undefined;
  const { schedulesFile } = config;
  const take = (specs: readonly ScheduleSpec[]): void => {
    schedules.configure(specs);
    events.fileTaken(specs.length);
  };
  const file =
    schedulesFile === ''
      ? undefined
      : await LastGood.open({
          read: () => textOf(schedulesFile),
          parse: (text) => parsed(schedulesFile, text, inCluster),
          changed: take,
          recovered: take,
          refused: events.fileRefused,
        });
  const schedules = new Schedules(
    scheduling(config, deps, events),
    (actor, action, detail) => deps.journal.recordAct(actor, action, detail),
    inCluster,
  );
  const close = (): void => {
    file?.close();
    schedules.close();
  };
  try {
    schedules.configure(file?.value ?? []);
  } catch (error) {
    close();
    throw error;
  }
  return {
    schedules,
    agentAttached: () => schedules.scheduler.agentAttached(),
    lookAtFile: async () => await file?.look(),
    close,
  };
}

/** What schedules work with: a capture of theirs is one of its fleet. */
function scheduling(
  { approval }: Pick<Config, 'approval'>,
  { scheduleJournal, runs, journal, fleet, slots, captures, cluster }: OpenSchedulesDeps,
  events: OpenedScheduleEvents,
): SchedulerDeps {
  return {
    clock: systemClock,
    schedules: scheduleJournal,
    runs,
    captures: journal,
    nodes: scheduledNodes(fleet, cluster),
    free: () => slots.free(),
    capture: async (run, { spec, configured }) => {
      const capture = await captures.create({
        nodeName: run.nodeName,
        ...(isNamed(run.nodeUid) ? {} : { nodeUid: run.nodeUid }),
        reason: reasonOf(spec),
        idempotencyKey: keyOf(run),
        requestedBy: requesterOf(run.schedule),
        pods: async () => [],
        schedule: { name: run.schedule, tick: run.tick, triggered: run.triggered, configured },
        analyze: spec.analyze,
        ...(spec.analysis && { analysis: spec.analysis }),
      });
      return capture.request.id;
    },
    approval,
    events,
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return (await readBounded(path, 'schedules')).toString('utf8');
  } catch (cause) {
    const why = cause instanceof TooLarge ? cause.message : 'see KCORDER_SCHEDULES_FILE and whether it is mounted';
    throw new Fault('config_invalid', `the schedules file ${path} cannot be read: ${why}`, { cause });
  }
}

function parsed(path: string, text: string, inCluster: boolean): ScheduleSpec[] {
  const read = readSchedules(text, inCluster);
  if (read.kind === 'good') return read.specs;
  throw new Fault('config_invalid', `the schedules file ${path} is wrong: ${sentenceOf(read.problems)}`);
}

/** The nodes as schedules see them: by agents, and by the cluster's word where there is one. */
export function scheduledNodes(fleet: Fleet, cluster: OpenSchedulesDeps['cluster']): ScheduledNodes {
  const named = (name: string): ScheduledNode => ({
    name,
    uid: cluster?.nodeUid(name) ?? fleet.named(name)?.uid ?? `name/${name}`,
  });
  return {
    select: async (target) => {
      if (!asksCluster(target))
        return target.nodeNames.length > 0 ? unique(target.nodeNames).map(named) : withAgents(fleet, cluster);
      if (cluster === undefined)
        throw new Fault(
          'unimplemented',
          'this collector knows no cluster, so it cannot find labels nor pods: name nodes',
        );
      const found = await cluster.nodesThatFit(target);
      return found.filter(({ name }) => target.nodeNames.length === 0 || target.nodeNames.includes(name));
    },
    state: ({ nodeUid, nodeName }) => {
      const agent = isNamed(nodeUid) ? fleet.attached(({ name }) => name === nodeName)[0] : fleet.online(nodeUid);
      const pressure = cluster?.pressureOn(nodeName) ?? [];
      if (agent === undefined) return { attached: false, refusals: [], pressure };
      const refusals = refusalsOf(agent.node).map(({ message }) => message);
      return { attached: true, uid: agent.node.uid, refusals, pressure };
    },
  };
}

/** Returns true for a node without a uid: no agent of its name was ever there. */
const isNamed = (nodeUid: string): boolean => nodeUid.startsWith('name/');

const asksCluster = ({ nodeLabels, podNamespaces, podLabels }: ScheduleTarget): boolean =>
  nodeLabels !== '' || podNamespaces.length > 0 || podLabels !== '';

const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();

/** Every node that has an agent; but one that the cluster does not have any more is gone. */
function withAgents(fleet: Fleet, cluster: OpenSchedulesDeps['cluster']): ScheduledNode[] {
  const byName = new Map<string, ScheduledNode>();
  const all = fleet.list();
  // Two of a name: the one that is attached, or else the one seen last, which comes first.
  for (const { node, online } of [...all.filter((each) => each.online), ...all]) {
    const gone = !online && cluster?.inStepAt() !== undefined && cluster.nodeUid(node.name) !== node.uid;
    if (!gone && !byName.has(node.name)) byName.set(node.name, { name: node.name, uid: node.uid });
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
