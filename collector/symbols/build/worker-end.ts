import type { WorkerEnd } from '@kcorder/isf/worker.ts';

/** More than any banner, and of a sentence enough to read; in UTF-16 units. */
const longestText = 4_096;
const mostRemarks = 100;

/** How the builder says that it ended, of what the collector takes its word for; undefined unless it is one of its own ends. */
type SaidEnd =
  | {
      readonly kind: 'built';
      readonly summary: Pick<Extract<WorkerEnd, { kind: 'built' }>['summary'], 'banner' | 'bannerTold' | 'remarks'>;
    }
  | Exclude<WorkerEnd, { kind: 'built' }>;

/** The end in what the builder printed; undefined when it is none that the builder has, or holds more than one can. */
export function parseWorkerEnd(printed: string): SaidEnd | undefined {
  let value: unknown;
  try {
    value = JSON.parse(printed);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { kind, problem, summary } = value;
  if (kind === 'refused' || kind === 'not_written') {
    return typeof problem === 'string' ? { kind, problem: cut(problem) } : undefined;
  }
  if (kind !== 'built' || !isObject(summary)) return undefined;
  const { banner, bannerTold, remarks } = summary;
  if (!(banner === undefined || (typeof banner === 'string' && banner.length <= longestText))) return undefined;
  if (typeof bannerTold !== 'boolean' || !areTexts(remarks) || remarks.length > mostRemarks) return undefined;
  return { kind, summary: { banner, bannerTold, remarks: remarks.map(cut) } };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function cut(text: string): string {
  return text.slice(0, longestText);
}
