import type { Run } from '../../journal/run-journal.ts';
import type { ScheduleSpec } from '../../journal/schedule-journal.ts';
import { type Chances, ordinary, World } from './world.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const at = '2026-01-05T00:30:00.000Z';
export const quick: Chances = { capture: () => ({ ms: minuteMs, end: 'complete' }), stepMs: () => 1 };

/** A world with schedules, a second after its start. */
export async function worldWith(
  specs: Partial<ScheduleSpec>[],
  { nodes = 3, max = 10, chances = quick }: { nodes?: number; max?: number; chances?: Chances } = {},
): Promise<World> {
  const world = new World(at, nodes, max, chances);
  world.startCollector();
  await world.clock.pass(1_000);
  for (const spec of specs) world.schedules.create({ ...ordinary, ...spec }, 'operator/alice');
  return world;
}

/** Runs as texts: tick, node, state, reason, and how many ticks if it is not one. */
export const brief = (runs: readonly Run[]): string[] =>
  runs.map(({ tick, nodeName, state, reason, ticks }) =>
    [tick.slice(11, 16), nodeName, state, reason, ticks === 1 ? '' : ticks].filter((part) => part !== '').join(' '),
  );
export const runsOf = (world: World): string[] => brief(world.schedules.runs({ limit: 1000 }).reverse());
export const on = (...nodeNames: string[]) => ({ target: { ...ordinary.target, nodeNames } });
