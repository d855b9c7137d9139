import type { JsonValue } from '@bufbuild/protobuf';
import type { OutputForm, Session } from '../session.ts';
import { jsonLine } from './document.ts';
import { type Grid, gridOf, type Row } from './grid.ts';
import { visible, visibleJson } from './visible.ts';

/** Rows that are printed as they come: none is held but those by which a table measures its columns. */
export interface RowPrinter {
  /** A row: its cells, and what a table shows of them where that is something else. */
  print(cells: readonly JsonValue[], shown?: Row): void;
  /** Prints what is held: more may be long in coming. */
  flush(): void;
  /** What is left, once there are no more. */
  end(): void;
}

const measuredRows = 1_000;

/** Opens a printer on stdout. `titles` are those of a table where it has other columns. */
export function openRows(
  session: Pick<Session, 'output' | 'look' | 'terminal'>,
  columns: readonly string[],
  titles: readonly string[] = columns,
): RowPrinter {
  const write = (text: string): void => session.terminal.out.write(text);
  return printers[session.output]({ columns, titles, look: session.look, write });
}

interface Sheet {
  readonly columns: readonly string[];
  readonly titles: readonly string[];
  readonly look: Session['look'];
  write(text: string): void;
}

const nothingHeld = { flush: () => undefined, end: () => undefined };

const printers: Readonly<Record<OutputForm, (sheet: Sheet) => RowPrinter>> = {
  table,
  wide: table,
  json,
  // Not offered for rows.
  yaml: json,
  jsonl: ({ columns, write }) => ({
    print: (cells) => write(jsonLine(objectOf(columns, cells))),
    ...nothingHeld,
  }),
  csv,
};

function table({ titles, look, write }: Sheet): RowPrinter {
  let held: Row[] = [];
  let grid: Grid | undefined;
  const measure = (): Grid => {
    const measured = gridOf(
      titles.map((title) => ({ title: title.toUpperCase() })),
      held,
      look,
    );
    write(`${[measured.header, ...held.map((row) => measured.line(row))].join('\n')}\n`);
    held = [];
    return measured;
  };
  const flush = (): void => {
    if (held.length > 0) grid = measure();
  };
  return {
    print: (cells, shown = cells.map(textOf)) => {
      if (grid !== undefined) write(`${grid.line(shown)}\n`);
      else if (held.push(shown) === measuredRows) grid = measure();
    },
    flush,
    end: flush,
  };
}

function json({ columns, write }: Sheet): RowPrinter {
  let isFirst = true;
  return {
    print: (cells) => {
      const text = visibleJson(JSON.stringify(objectOf(columns, cells)));
      write(isFirst ? `[\n  ${text}` : `,\n  ${text}`);
      isFirst = false;
    },
    flush: () => undefined,
    end: () => write(isFirst ? '[]\n' : '\n]\n'),
  };
}

function csv({ columns, write }: Sheet): RowPrinter {
  const line = (cells: readonly JsonValue[]): void => write(`${cells.map(csvCell).join(',')}\n`);
  line(columns);
  return { print: line, ...nothingHeld };
}

/** Two columns of a query may have one name. */
function objectOf(columns: readonly string[], cells: readonly JsonValue[]): { [key: string]: JsonValue } {
  const object: { [key: string]: JsonValue } = Object.create(null);
  columns.forEach((column, index) => {
    let name = column;
    for (let number = 2; name in object; number += 1) name = `${column}_${number}`;
    object[name] = cells[index] ?? null;
  });
  return object;
}

/** A cell as a table shows it. */
export function textOf(cell: JsonValue): string {
  if (cell === null) return '-';
  return typeof cell === 'string' ? cell : JSON.stringify(cell);
}

/** How formulas begin: in a cell, and in what becomes one where a spreadsheet takes ";" for the end of a cell too. */
const formula = /(^|;)(?=[\s"']*[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

/** A text that begins like a formula gets a quote before it, or a spreadsheet would obey it. */
function csvCell(cell: JsonValue): string {
  if (cell === null) return '';
  if (typeof cell !== 'string') return JSON.stringify(cell);
  const text = visible(cell);
  const harmless = text.replace(formula, "$1'");
  return /[",;\s]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
