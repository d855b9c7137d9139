import type { Run } from '../../journal/run-journal.ts';
import type { ScheduleSpec } from '../../journal/schedule-journal.ts';
import { dice } from './dice.ts';
import { ordinary, type World } from './world.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
export const maxCaptures = 4;

/** Some of the wall's time, in which something was so. */
export type Stretch = { readonly fromMs: number; toMs: number };

export const during = (stretches: readonly Stretch[], atMs: number): boolean =>
  stretches.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);

/** Days of what may happen, all of it by the dice. Returns what a model needs to judge them. */
export async function liveDays(world: World, zone: string, days: number, start: number) {
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
  const isLive = (name: string): boolean => specs.get(name)?.plannedMs === undefined;

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
        if (!isLive(name)) return;
        world.schedules.pause(name, 'operator/bob');
        paused.add(name);
      },
    ],
    [
      8,
      () => {
        const [name] = paused;
        // Resuming lets ticks count from now again: with a clock that was put back, some would come a second time, as is meant.
        if (name === undefined || !isLive(name) || Date.parse(world.schedules.get(name).plannedThrough) > wallMs())
          return;
        world.schedules.resume(name, 'operator/bob');
        paused.delete(name);
      },
    ],
    [
      6,
      () => {
        const name = some();
        if (!isLive(name)) return;
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
        if (spec === undefined || !isLive(name)) return;
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
  const endMs = clock.monotonicMs() + days * 24 * hourMs;
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
