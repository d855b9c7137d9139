import { gridOf, type Look, type Row } from '../output/grid.ts';
import type { Tone } from '../output/paint.ts';
import { visible } from '../output/visible.ts';

/** One thing that was looked at. */
interface Shown {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly todo?: string;
}

const tones: Readonly<Record<Shown['state'], Tone>> = { ok: 'quiet', warn: 'warn', fail: 'bad' };

/** Checks, one a line, each with what to do under it. Nothing is cut: commands are there to be copied. */
export function checksText(checks: readonly Shown[], look: Look): string {
  const rows = checks.map(({ state, name, detail }): Row => [{ text: state, tone: tones[state] }, name, detail]);
  const grid = gridOf([{ title: '' }, { title: '' }, { title: '' }], rows, { ...look, width: undefined });
  return checks
    .flatMap(({ todo }, index) => [
      grid.line(rows[index] ?? []),
      ...(todo === undefined ? [] : [`      do: ${visible(todo)}`]),
    ])
    .map((line) => `${line}\n`)
    .join('');
}
