import type { DatabaseSync } from 'node:sqlite';
import type { Outcome } from '../../capture/capture.ts';
import type { CaptureEvent } from '../../capture/event.ts';
import type { EvidenceDirectory } from '../../evidence/evidence-directory.ts';
import { CaptureSlots } from '../../fleet/capture-slots.ts';
import { Captures } from '../../fleet/captures.ts';
import { type Attached, Fleet } from '../../fleet/fleet.ts';
import type { Acquisitions } from '../../ingest/acquisitions.ts';
import { Approvals } from '../../journal/approvals.ts';
import { CaptureJournal } from '../../journal/capture-journal.ts';
import { openDatabase } from '../../journal/database.ts';
import { NodeJournal } from '../../journal/node-journal.ts';
import { RunJournal } from '../../journal/run-journal.ts';
import { ScheduleJournal, type ScheduleSpec } from '../../journal/schedule-journal.ts';
import { makeScratch } from '../../testing/files.ts';
import { events, partial, request, start } from '../../testing/states.ts';
import { keyOf, reasonOf, requesterOf, type ScheduleEvents } from '../deps.ts';
import { scheduledNodes } from '../open.ts';
import { Schedules } from '../schedules.ts';
import { FakeClock } from './fake-clock.ts';

type Ended = Parameters<ScheduleEvents['runEnded']>[0] & { readonly wallMs: number };

/** A node with its agent: what it does outlives the collector. */
interface SimulatedNode {
  readonly name: string;
  readonly uid: string;
  online: boolean;
  refusal: string;
  pressure: string;
  /** The capture that lives in it. */
  captureId: string;
}

/** What a test decides. */
export interface Chances {
  /** How long a capture takes, and how it ends. */
  capture(): { readonly ms: number; readonly end: 'complete' | 'partial' | 'canceled' | 'refused' };
  /** How long a step of the collector takes. */
  stepMs(): number;
}

/** The ordinary schedule of tests. */
export const ordinary: ScheduleSpec = {
  name: 's',
  cron: '0 * * * *',
  timeZone: '',
  target: { nodeNames: [], nodeLabels: '', podNamespaces: [], podLabels: '' },
  analyze: false,
  jitterMs: 0,
  maxConcurrent: 0,
  ignorePressure: false,
  retention: { keepLast: 0 },
  reason: '',
};

/** A fleet of simulated nodes and a collector whose disk, orders and captures are real; it can be killed anywhere. */
export class World implements Disposable {
  readonly clock: FakeClock;
  readonly nodes: SimulatedNode[];
  readonly ended: Ended[] = [];
  readonly failures: unknown[] = [];
  readonly started: { readonly captureId: string; readonly wallMs: number }[] = [];
  freeBytes = 1e15;
  approval = false;
  readonly maxCaptures: number;
  readonly database: DatabaseSync;
  readonly #scratch = makeScratch();
  readonly #chances: Chances;
  #collector:
    | { schedules: Schedules; captures: Captures; journal: CaptureJournal; fleet: Fleet; alive: boolean }
    | undefined;

  constructor(wall: string, nodeCount: number, maxCaptures: number, chances: Chances) {
    this.clock = new FakeClock(wall);
    this.maxCaptures = maxCaptures;
    this.#chances = chances;
    this.nodes = Array.from({ length: nodeCount }, (_, index) => ({
      name: `n${index}`,
      uid: `u${index}`,
      online: true,
      refusal: '',
      pressure: '',
      captureId: '',
    }));
    this.database = openDatabase(this.#scratch.dir);
    this.#hurry();
  }

  get up(): boolean {
    return this.#collector !== undefined;
  }

  get schedules(): Schedules {
    return this.#living().schedules;
  }

  get journal(): CaptureJournal {
    return this.#living().journal;
  }

  /** Starts a collector; agents find it by and by. */
  startCollector(): void {
    const { database, clock } = this;
    const journal = new CaptureJournal(database);
    const fleet = new Fleet(new NodeJournal(database));
    const slots = new CaptureSlots(journal, fleet, { maxCaptures: this.maxCaptures, orderMs: 600_000 });
    const living = { alive: true };
    const step = async (): Promise<void> => {
      await clock.sleep(this.#chances.stepMs());
      // A collector that was killed does nothing any more.
      if (!living.alive) await new Promise(() => undefined);
    };
    const evidence = {
      freeBytes: async () => {
        await step();
        return this.freeBytes;
      },
    } as unknown as EvidenceDirectory;
    const captures = new Captures({
      journal,
      acquisitions: {} as unknown as Acquisitions,
      evidence,
      fleet,
      slots,
      approvals: new Approvals(database),
      limits: { reserveBytes: 0, approval: this.approval },
    });
    const nodes = scheduledNodes(fleet, {
      inStepAt: () => undefined,
      nodeUid: () => undefined,
      nodesThatFit: async () => [],
      pressureOn: (name) =>
        this.nodes.filter((node) => node.name === name && node.pressure !== '').map(({ pressure }) => pressure),
    });
    const schedules = new Schedules(
      {
        clock,
        schedules: new ScheduleJournal(database),
        runs: new RunJournal(database),
        captures: journal,
        nodes: {
          ...nodes,
          select: async (target) => {
            await step();
            return await nodes.select(target);
          },
        },
        free: () => slots.free(),
        capture: async (run, { spec, configured }) => {
          await step();
          const capture = await captures.create({
            nodeName: run.nodeName,
            reason: reasonOf(spec),
            idempotencyKey: keyOf(run),
            requestedBy: requesterOf(run.schedule),
            pods: async () => [],
            schedule: { name: run.schedule, tick: run.tick, triggered: run.triggered, configured },
            analyze: spec.analyze,
          });
          await step();
          return capture.request.id;
        },
        approval: this.approval,
        events: {
          runEnded: (run) => void this.ended.push({ ...run, wallMs: clock.wall().getTime() }),
          failed: (_what, error) => void this.failures.push(error),
          clockJumped: () => undefined,
        },
      },
      (actor, action, detail) => journal.recordAct(actor, action, detail),
      false,
    );
    const stopGiving = journal.watch(({ event }) => event && slots.give());
    const collector = { schedules, captures, journal, fleet, alive: true };
    this.#collector = collector;
    this.#kill = () => {
      living.alive = false;
      stopGiving();
      schedules.close();
      this.#collector = undefined;
    };
    for (const node of this.nodes) this.#attach(node);
  }

  killCollector(): void {
    this.#kill();
  }

  #kill: () => void = () => undefined;

  setOnline(node: SimulatedNode, online: boolean): void {
    if (node.online === online) return;
    node.online = online;
    const fleet = this.#collector?.fleet;
    const agent = fleet?.online(node.uid);
    if (!online && agent !== undefined) fleet?.detached(agent);
    this.#hurry();
    if (online) this.#attach(node);
  }

  /** What the agent tells with its heartbeats. */
  refresh(node: SimulatedNode): void {
    this.#collector?.fleet.seen(node.uid, refusalsOf(node));
  }

  /** Somebody asks for a capture by hand; nothing comes of it where one runs. */
  async byHand(node: SimulatedNode, key: string): Promise<void> {
    const spec = { nodeName: node.name, reason: 'a look', idempotencyKey: key, requestedBy: 'operator/alice' };
    await this.#living()
      .captures.create({ ...spec, pods: async () => [] })
      .catch(() => undefined);
  }

  [Symbol.dispose](): void {
    if (this.up) this.killCollector();
    this.database.close();
    this.#scratch[Symbol.dispose]();
  }

  #living() {
    if (this.#collector === undefined) throw new Error('no collector is up');
    return this.#collector;
  }

  /** No power fails in a test; whoever writes down a node sets this back. */
  #hurry(): void {
    this.database.exec('PRAGMA synchronous = OFF');
  }

  #attach(node: SimulatedNode): void {
    const collector = this.#collector;
    this.clock.setTimer(this.#chances.stepMs(), () => {
      if (collector === undefined || collector !== this.#collector || !node.online) return;
      if (collector.fleet.online(node.uid) !== undefined) return;
      const known = { name: node.name, uid: node.uid, lastSeenAt: this.clock.wall().toISOString(), agentVersion: '0' };
      const agent: Attached = {
        node: {
          ...known,
          kernel: { ...request.kernel, ramRanges: [{ start: 0n, end: 0xffn }] },
          refusals: refusalsOf(node),
        },
        instanceId: 'i',
        send: (order) => {
          if (order.kind === 'capture') this.#ordered(node, order.captureId);
        },
        detach: () => undefined,
      };
      collector.fleet.attach(agent);
      this.#hurry();
      void collector.captures.agentAttached(agent, node.captureId === '' ? [] : [node.captureId]);
      collector.schedules.scheduler.agentAttached();
    });
  }

  #ordered(node: SimulatedNode, captureId: string): void {
    if (node.captureId !== '') return;
    node.captureId = captureId;
    const { ms, end } = this.#chances.capture();
    this.clock.setTimer(0, () => {
      if (end === 'refused') return this.#tell(node, captureId, [{ ...events.refused, at: '' }], true);
      this.#tell(
        node,
        captureId,
        [{ ...events.opened, attempt: 1, start: { ...start, acquisitionId: captureId } }],
        false,
      );
      this.started.push({ captureId, wallMs: this.clock.wall().getTime() });
    });
    if (end === 'refused') return;
    const outcome: Outcome =
      end === 'complete'
        ? { kind: 'complete' }
        : end === 'partial'
          ? partial
          : { kind: 'canceled', by: 'operator/alice' };
    const first = end === 'complete' ? events.finished : end === 'partial' ? events.broken : events.canceled;
    this.clock.setTimer(ms, () => this.#tell(node, captureId, [first, { ...events.sealed, outcome }], true));
  }

  /** An agent tells it as soon as there is somebody to tell. */
  #tell(node: SimulatedNode, captureId: string, told: readonly CaptureEvent[], over: boolean): void {
    if (this.#collector === undefined || !node.online) {
      this.clock.setTimer(1_000, () => this.#tell(node, captureId, told, over));
      return;
    }
    const at = this.clock.wall().toISOString();
    if (over) node.captureId = '';
    for (const event of told) {
      const step = this.#collector.journal.apply(captureId, { ...event, at }, `node/${node.name}`);
      if (step.kind === 'refused') throw new Error(step.reason);
    }
  }
}

const refusalsOf = ({ refusal }: SimulatedNode) => (refusal === '' ? [] : [{ reason: 1, message: refusal }]);
