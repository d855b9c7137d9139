import { expect, test } from 'vitest';
import type { Run } from '../journal/runs.ts';
import type { ScheduleSpec } from '../journal/schedules.ts';
import { dice } from './testing/dice.ts';
import { ordinary, World } from './testing/world.ts';
import { ticksBetween } from './ticks.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const maxCaptures = 4;

/** Some of the wall's time, in which something was so. */
type Stretch = { readonly fromMs: number; toMs: number };

const during = (stretches: readonly Stretch[], atMs: number): boolean =>
  stretches.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);

/** A week of what may happen, all of it by the dice. Gives what a model needs to judge it. */
async function week(world: World, zone: string, start: number) {
  const { random, below, one } = dice(start);
  const { clock, nodes } = world;
  const wallMs = () => clock.wall().getTime();
  const down: Stretch[] = [];
  const jumps: Stretch[] = [];
  const specs = new Map<string, ScheduleSpec & { readonly createdMs: number; plannedMs?: number }>();
  const paused = new Set<string>();
  const keys = new Map<string, Promise<Run[]>[]>();
  const wrong: string[] = [];
  let number = 0;

  const make = (): void => {
    const names = nodes.map(({ name }) => name).filter(() => random() < 0.4);
    if (random() < 0.2) names.push('ghost');
    const startingDeadlineMs = one(undefined, undefined, minuteMs, 10 * minuteMs, 2 * hourMs);
    const spec: ScheduleSpec = {
      ...ordinary,
      name: `s${number}`,
      cron: one(
        '*/20 * * * *',
        '0 * * * *',
        '30 2 * * *',
        '15 */6 * * *',
        '0 1-5 * * *',
        '0,10,20 2,3 * * *',
        '*/30 * * * *',
      ),
      timeZone: zone,
      target: { ...ordinary.target, nodeNames: names.length === 0 ? ['n0'] : names },
      jitterMs: one(0, 0, 5 * minuteMs, 30 * minuteMs, hourMs),
      ...(startingDeadlineMs === undefined ? {} : { startingDeadlineMs }),
      maxConcurrent: below(4),
      ignorePressure: random() < 0.3,
    };
    number += 1;
    world.schedules.create(spec, 'operator/alice');
    specs.set(spec.name, { ...spec, createdMs: wallMs() });
  };
  const some = (): string => one(...specs.keys());
  const live = (name: string): boolean => specs.get(name)?.plannedMs === undefined;

  const actions: [number, () => void][] = [
    [30, () => world.setOnline(one(...nodes), random() < 0.7)],
    [6, () => Object.assign(one(...nodes), { pressure: one('', '', '', 'DiskPressure') })],
    [
      6,
      () => {
        const node = one(...nodes);
        node.refusal = one('', '', '', 'kcore is masked');
        world.refresh(node);
      },
    ],
    [20, () => void world.byHand(one(...nodes), `key-${random()}`)],
    [
      4,
      () => {
        world.freeBytes = one(1e15, 1e15, 1e15, 1e15, 10);
      },
    ],
    [
      4,
      () => {
        const name = some();
        if (!live(name)) return;
        world.schedules.pause(name, 'operator/bob');
        paused.add(name);
      },
    ],
    [
      8,
      () => {
        const [name] = paused;
        // Resuming lets ticks count from now again: with a clock that was put back, some would come a second time, as is meant.
        if (name === undefined || !live(name) || Date.parse(world.schedules.get(name).plannedThrough) > wallMs())
          return;
        world.schedules.resume(name, 'operator/bob');
        paused.delete(name);
      },
    ],
    [
      6,
      () => {
        const name = some();
        if (!live(name)) return;
        const key = `${name} ${below(3)}`;
        const round = world.schedules.trigger(name, key, 'operator/bob');
        round.catch(() => undefined);
        keys.set(key, [...(keys.get(key) ?? []), round]);
      },
    ],
    [
      1,
      () => {
        const name = some();
        const spec = specs.get(name);
        if (spec === undefined || !live(name)) return;
        spec.plannedMs = Date.parse(world.schedules.get(name).plannedThrough);
        world.schedules.remove(name, 'operator/bob');
      },
    ],
    [1, make],
    [
      3,
      () => {
        const fromMs = wallMs();
        const ms = one(-3 * hourMs, -20 * minuteMs, -3_000, 3_000, 15 * minuteMs, 5 * hourMs);
        clock.jump(ms);
        // It is seen some seconds later.
        if (ms > 0) jumps.push({ fromMs: fromMs - 10_000, toMs: wallMs() + 10_000 });
      },
    ],
    [
      5,
      () => {
        world.killCollector();
        down.push({ fromMs: wallMs(), toMs: Number.POSITIVE_INFINITY });
      },
    ],
  ];
  const total = actions.reduce((sum, [weight]) => sum + weight, 0);
  const act = (): void => {
    let left = below(total);
    for (const [weight, body] of actions) {
      left -= weight;
      if (left >= 0) continue;
      body();
      return;
    }
  };

  const names = new Map<string, string>();
  const nameOf = (id: string): string => {
    const name = names.get(id) ?? world.journal.get(id).request.schedule?.name ?? '';
    names.set(id, name);
    return name;
  };
  /** What has to hold at every instant. */
  const look = (): void => {
    if (!world.up) return;
    const running = world.journal.underway().filter(({ phase }) => phase === 'acquiring');
    if (running.length > maxCaptures) wrong.push(`${running.length} captures at once at ${clock.wall().toISOString()}`);
    const bySchedule = Map.groupBy(running, ({ id }) => nameOf(id));
    for (const [name, ours] of bySchedule) {
      const most = specs.get(name)?.maxConcurrent ?? 0;
      if (most > 0 && ours.length > most) wrong.push(`${ours.length} of ${name} at once, ${most} may`);
    }
  };

  world.startCollector();
  await clock.pass(5_000);
  for (let count = 0; count < 6; count += 1) make();
  const endMs = clock.monotonicMs() + 7 * 24 * hourMs;
  while (clock.monotonicMs() < endMs) {
    await clock.pass(below(40 * minuteMs), look);
    if (world.up) act();
    if (world.up) continue;
    await clock.pass(one(10, 5_000, 10 * minuteMs, 3 * hourMs));
    // A clock that is put right while nobody is there to see it.
    if (random() < 0.2) clock.jump(one(-hourMs, hourMs));
    world.startCollector();
    const last = down.at(-1);
    if (last !== undefined) last.toMs = wallMs() + minuteMs;
  }
  for (const node of nodes) Object.assign(node, { refusal: '', pressure: '' });
  world.freeBytes = 1e15;
  for (const node of nodes) world.setOnline(node, true);
  await clock.pass(8 * hourMs, look);
  return { specs, down, jumps, keys, wrong };
}

test.each([
  { sentence: 'a week', zone: 'UTC', wall: '2026-01-05T00:00:00.000Z' },
  { sentence: 'a week in which an hour is left out', zone: 'Europe/Berlin', wall: '2026-03-25T00:00:00.000Z' },
  { sentence: 'a week in which an hour comes twice', zone: 'America/New_York', wall: '2026-10-29T00:00:00.000Z' },
])(
  '$sentence: every tick comes to each node once, and nothing is silent',
  async ({ sentence, zone, wall }) => {
    console.log(`${sentence}: SEED=${seed}`);
    const { random, below, one } = dice(seed ^ 0x5bd1e995);
    using world = new World(wall, 20, maxCaptures, {
      capture: () => ({
        ms: one(minuteMs, 2 * minuteMs, 4 * minuteMs, 20 * minuteMs, 70 * minuteMs),
        end: one('complete', 'complete', 'complete', 'partial', 'canceled', 'refused'),
      }),
      stepMs: () => (random() < 0.9 ? below(20) : below(9_000)),
    });
    const { specs, down, jumps, keys, wrong } = await week(world, zone, seed);
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
    console.log(
      [...counts]
        .map(([why, count]) => `${count} ${why}`)
        .sort()
        .join(', '),
    );
    for (const why of ['succeeded', 'failed', 'skipped overlap', 'missed collector_down'])
      expect(counts.get(why)).toBeGreaterThan(0);

    // The same key gave the same round each time; calls that died with the collector gave none.
    for (const calls of keys.values()) {
      const rounds = await Promise.all(
        calls.map((call) => Promise.race([call.catch(() => []), Promise.resolve().then(() => [])])),
      );
      const given = new Set(rounds.filter((round) => round.length > 0).map((round) => round[0]?.tick));
      expect(given.size).toBeLessThanOrEqual(1);
    }
  },
  300_000,
);
