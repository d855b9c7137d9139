/** One measured comparison. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  /** In `unit`. */
  readonly ours: number;
  /** In `unit`; what `ours` is held against, measured in the same run. */
  readonly peer: number;
  /** Above 1: ours is better, whatever the unit. */
  readonly ratio: number;
  readonly unit: string;
  /** Spread, CPU and memory of both ends, and what the peer is. */
  readonly note: string;
}

/** The middle value; of an even number of them the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? Number.NaN)) / 2;
}

/** Lowest to highest, for the note of a row. */
export function spread(values: readonly number[], digits = 0): string {
  return `${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)}`;
}

/** The rows as a table for people. */
export function table(rows: readonly Row[]): string {
  const head = ['BENCH', 'CASE', 'OURS', 'PEER', 'UNIT', 'RATIO (>1: ours is better)'];
  const lines = rows.map((row) => [
    row.bench,
    row.case,
    row.ours.toFixed(1),
    row.peer.toFixed(1),
    row.unit,
    row.ratio.toFixed(2),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [format(head), ...lines.flatMap((line, index) => [format(line), `    ${rows[index]?.note ?? ''}`])].join('\n');
}
