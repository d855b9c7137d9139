import { expect } from 'vitest';
import type { Run } from '../../journal/run-journal.ts';
import { ticksBetween } from '../ticks.ts';
import { dice } from './dice.ts';
import { during, liveDays, maxCaptures } from './live-days.ts';
import { World } from './world.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Where and when simulated days pass, and how many of them. */
export interface Days {
  readonly zone: string;
  /** RFC 3339. */
  readonly wall: string;
  readonly days: number;
  readonly seed: number;
}

/** Lets days pass and holds what is on record to a model of its own. Returns how many runs ended in which way. */
export async function proveDays({ zone, wall, days, seed }: Days): Promise<ReadonlyMap<string, number>> {
  const { random, below, one } = dice(seed ^ 0x5bd1e995);
  using world = new World(wall, 20, maxCaptures, {
    capture: () => ({
      ms: one(minuteMs, 2 * minuteMs, 4 * minuteMs, 20 * minuteMs, 70 * minuteMs),
      end: one('complete', 'complete', 'complete', 'partial', 'canceled', 'refused'),
    }),
    stepMs: () => (random() < 0.9 ? below(20) : below(9_000)),
  });
  const { specs, down, jumps, keys, wrong } = await liveDays(world, zone, days, seed);
  expect(wrong).toEqual([]);
  expect(world.failures).toEqual([]);

  const nowMs = world.clock.wall().getTime();
  const runs = world.schedules.runs({ limit: 1_000_000 });
  const clockRuns = runs.filter(({ triggered }) => !triggered);
  const isPast = ({ deadlineAt }: Run) => Date.parse(deadlineAt) < nowMs - minuteMs;

  for (const [name, spec] of specs) {
    // Every tick from its making on is on record, on every node or as a whole, and only once.
    const plannedMs = spec.plannedMs ?? Date.parse(world.schedules.get(name).plannedThrough);
    if (spec.plannedMs === undefined) expect(ticksBetween(spec, plannedMs, nowMs - minuteMs, 10)).toEqual([]);
    const ticks = ticksBetween(spec, spec.createdMs, plannedMs, 100_000);
    const seen = new Map<number, string[]>();
    const note = (tick: number, node: string) => seen.set(tick, [...(seen.get(tick) ?? []), node]);
    for (const run of clockRuns.filter(({ schedule }) => schedule === name)) {
      const last = ticks.indexOf(Date.parse(run.tick));
      expect(last, `${name} has no tick ${run.tick}`).toBeGreaterThanOrEqual(run.ticks - 1);
      for (const tick of ticks.slice(last + 1 - run.ticks, last + 1)) note(tick, run.nodeName || '*');
    }
    const nodeNames = [...new Set(spec.target.nodeNames)].sort();
    for (const tick of ticks) {
      const found = (seen.get(tick) ?? []).sort();
      if (found[0] !== '*' || found.length !== 1)
        expect(found, `${name} ${new Date(tick).toISOString()}`).toEqual(nodeNames);
    }
  }

  // Each capture of a schedule belongs to one run, which ended as it did.
  const captures = world.database
    .prepare(`SELECT id, node_name, schedule, outcome, outcome_reason, request FROM captures WHERE schedule <> ''`)
    .all();
  const byCapture = new Map(runs.filter(({ captureId }) => captureId !== '').map((run) => [run.captureId, run]));
  expect(byCapture.size).toBe(captures.length);
  const keysOfCaptures = new Set(
    captures.map((row) => `${row.schedule} ${JSON.parse(String(row.request)).schedule.tick} ${row.node_name}`),
  );
  expect(keysOfCaptures.size).toBe(captures.length);
  const stateOf: Record<string, string> = { complete: 'succeeded', '': 'running' };
  for (const row of captures) {
    const run = byCapture.get(String(row.id));
    expect([run?.nodeName, run?.state]).toEqual([row.node_name, stateOf[String(row.outcome)] ?? 'failed']);
  }

  // Everything that is over has ended, was told once, and for a reason that was one.
  expect(runs.filter((run) => run.state === 'waiting' && isPast(run))).toEqual([]);
  const ended = runs.filter(({ state }) => state !== 'waiting' && state !== 'running');
  const told = Map.groupBy(world.ended, ({ schedule, tick, nodeName }) => `${schedule} ${tick} ${nodeName}`);
  const counts = new Map<string, number>();
  for (const run of ended) {
    const tells = told.get(`${run.schedule} ${run.tick} ${run.nodeName}`) ?? [];
    expect(tells.map(({ state, reason }) => `${state} ${reason}`)).toEqual([`${run.state} ${run.reason}`]);
    const why = run.state === 'skipped' || run.state === 'missed' ? `${run.state} ${run.reason}` : run.state;
    counts.set(why, (counts.get(why) ?? 0) + 1);
    const momentMs = run.nodeName === '' ? Date.parse(run.tick) : Date.parse(run.deadlineAt);
    // One that was killed before it saw that the clock had jumped cannot tell.
    const nobody = during([...down, ...jumps], momentMs);
    if (run.reason === 'collector_down') expect(nobody, JSON.stringify(run)).toBe(true);
    if (run.reason === 'clock_jumped') expect(during(jumps, momentMs), JSON.stringify(run)).toBe(true);
    if (run.reason === 'overlap') {
      const endedMs = tells[0]?.wallMs ?? 0;
      const earlier = runs.filter(
        (other) => other.schedule === run.schedule && other.nodeName === run.nodeName && other.tick < run.tick,
      );
      const open = earlier.some((other) => {
        const end = told.get(`${other.schedule} ${other.tick} ${other.nodeName}`)?.[0]?.wallMs;
        // Hours around a clock that was put back are not compared.
        return end === undefined || end >= endedMs - 3 * hourMs;
      });
      expect(open, JSON.stringify(run)).toBe(true);
    }
  }
  // The same key gave the same round each time; calls that died with the collector gave none.
  for (const calls of keys.values()) {
    const rounds = await Promise.all(
      calls.map((call) => Promise.race([call.catch(() => []), Promise.resolve().then(() => [])])),
    );
    const given = new Set(rounds.filter((round) => round.length > 0).map((round) => round[0]?.tick));
    expect(given.size).toBeLessThanOrEqual(1);
  }
  return counts;
}
