import type { ScheduleSpec } from '../journal/schedule-journal.ts';
import { type Problem, problemsOf } from './spec.ts';

type Kind = 'text' | 'texts' | 'number' | 'flag' | 'duration' | 'part';

const fields: Record<string, Record<string, Kind>> = {
  '': {
    name: 'text',
    cron: 'text',
    timeZone: 'text',
    target: 'part',
    analyze: 'flag',
    jitter: 'duration',
    startingDeadline: 'duration',
    maxConcurrent: 'number',
    ignorePressure: 'flag',
    retention: 'part',
    reason: 'text',
  },
  'target.': { nodeNames: 'texts', nodeLabels: 'text', podNamespaces: 'texts', podLabels: 'text' },
  'retention.': { keepLast: 'number', ttl: 'duration' },
};

const wanted: Record<Kind, string> = {
  text: 'a text',
  texts: 'a list of texts',
  number: 'a whole number',
  flag: 'true or false',
  duration: 'a time such as "90s", "5m" or "1h30m"',
  part: 'an object',
};

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** A time such as "1h30m", in ms; undefined for what is none. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0;
  const parts =
    /^(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?$/
      .exec(text)
      ?.slice(1)
      .filter((part) => part !== undefined) ?? [];
  if (parts.length === 0) return undefined;
  return parts.reduce((sum, part) => sum + Number(part.slice(0, -1)) * (unitMs[part.slice(-1)] ?? 0), 0);
}

/** The schedules of a file, {"schedules": […]}, or all that is wrong with them. Unknown keys are wrong. */
export function readSchedules(
  text: string,
  inCluster: boolean,
): { readonly kind: 'good'; readonly specs: ScheduleSpec[] } | { readonly kind: 'bad'; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    return { kind: 'bad', problems: [{ place: 'the file', what: `is no JSON: ${(error as Error).message}` }] };
  }
  if (!isPart(root) || !Array.isArray(root.schedules))
    return { kind: 'bad', problems: [{ place: 'the file', what: 'is not {"schedules": [ … ]}' }] };
  for (const key of Object.keys(root)) if (key !== 'schedules') problems.push({ place: key, what: 'is unknown' });
  const names = new Map<string, number>();
  const specs = root.schedules.flatMap((entry: unknown, index) => {
    const here = `schedules[${index}]`;
    const wrongShape: Problem[] = [];
    const spec = specOf(entry, wrongShape);
    const all = [
      ...wrongShape,
      ...problemsOf(spec, inCluster).filter(({ place }) => !wrongShape.some((shape) => shape.place === place)),
    ];
    problems.push(...all.map(({ place, what }) => ({ place: place === '' ? here : `${here}.${place}`, what })));
    const twin = names.get(spec.name);
    if (twin !== undefined) problems.push({ place: `${here}.name`, what: `is that of schedules[${twin}] too` });
    names.set(spec.name, index);
    return [spec];
  });
  return problems.length === 0 ? { kind: 'good', specs } : { kind: 'bad', problems };
}

function specOf(entry: unknown, problems: Problem[]): ScheduleSpec {
  const root = partOf(entry, '', problems);
  const target = partOf(root.target, 'target.', problems);
  const retention = partOf(root.retention, 'retention.', problems);
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);
  const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
  const ms = (value: unknown): number | undefined => (typeof value === 'string' ? durationMs(value) : undefined);
  const startingDeadlineMs = ms(root.startingDeadline);
  const ttlMs = ms(retention.ttl);
  return {
    name: text(root.name),
    cron: text(root.cron),
    timeZone: text(root.timeZone),
    target: {
      nodeNames: texts(target.nodeNames),
      nodeLabels: text(target.nodeLabels),
      podNamespaces: texts(target.podNamespaces),
      podLabels: text(target.podLabels),
    },
    analyze: root.analyze === true,
    jitterMs: ms(root.jitter) ?? 0,
    ...(startingDeadlineMs === undefined ? {} : { startingDeadlineMs }),
    maxConcurrent: number(root.maxConcurrent),
    ignorePressure: root.ignorePressure === true,
    retention: { keepLast: number(retention.keepLast), ...(ttlMs === undefined ? {} : { ttlMs }) },
    reason: text(root.reason),
  };
}

function partOf(value: unknown, prefix: string, problems: Problem[]): Record<string, unknown> {
  const place = prefix.slice(0, -1);
  if (value === undefined && prefix !== '') return {};
  if (!isPart(value)) {
    if (prefix === '') problems.push({ place, what: 'is not an object' });
    return {};
  }
  const known = fields[prefix] ?? {};
  for (const [key, each] of Object.entries(value)) {
    const kind = Object.hasOwn(known, key) ? known[key] : undefined;
    if (kind === undefined) problems.push({ place: `${prefix}${key}`, what: 'is unknown' });
    else if (!isOf(kind, each)) problems.push({ place: `${prefix}${key}`, what: `is not ${wanted[kind]}` });
  }
  return value;
}

function isOf(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'texts':
      return Array.isArray(value) && value.every((each) => typeof each === 'string');
    case 'number':
      return Number.isInteger(value);
    case 'flag':
      return typeof value === 'boolean';
    case 'duration':
      return typeof value === 'string' && durationMs(value) !== undefined;
    case 'part':
      return isPart(value);
  }
}

const isPart = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
