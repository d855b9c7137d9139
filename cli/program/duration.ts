import { spanText } from '../output/figures.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const form = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
/** What a timer can hold. */
const longestTimerMs = 2 ** 31 - 1;

/** A span of time such as 90s, 30m or 1h30m in ms; undefined when the text is none, is zero or exceeds the longest, which is 24 days unless given. */
export function parseDuration(text: string, longestMs = longestTimerMs): number | undefined {
  if (!form.test(text)) return undefined;
  let spanMs = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    spanMs += Number(value) * (unitMs[unit ?? ''] ?? Number.NaN);
  }
  return spanMs > 0 && spanMs <= longestMs ? spanMs : undefined;
}

/** A span of time in the same form, to the second where it is one or more. */
export function durationText(spanMs: number): string {
  return spanMs < 1000 ? `${spanMs}ms` : spanText(spanMs);
}
