import type { Paint, Tone } from './paint.ts';
import { visible } from './visible.ts';
import { cut, padded, widthOf } from './width.ts';

/** A column of a table. The last column is never filled up. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** A cell: its raw text and the tone that it is shown in. */
export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}

/** How a table is to look. */
export interface Look {
  readonly paint: Paint;
  /** Columns to cut lines to; unset for lines of any length. */
  readonly width: number | undefined;
  /** More columns, and nothing cut. */
  readonly wide: boolean;
}

/** A row of raw texts; escaping is the grid's work, so that no cell gets past it. */
export type Row = readonly (string | Cell)[];

/** Lines of one table, whose column widths come from all of its rows. */
export interface Grid {
  readonly header: string;
  line(row: Row): string;
}

const gap = '  ';
const narrowestLastColumn = 16;
/** A longer cell moves the rest of its own line, and fills up no other. */
const widestFilled = 256;

/** Measures all rows of a table. */
export function gridOf(columns: readonly Column[], rows: Iterable<Row>, look: Look): Grid {
  const widths = columns.map((column) => widthOf(column.title));
  const last = columns.length - 1;
  for (const row of rows) {
    row.slice(0, last).forEach((cell, index) => {
      const width = Math.min(widthOf(visible(textOf(cell))), widestFilled);
      widths[index] = Math.max(widths[index] ?? 0, width);
    });
  }
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + gap.length, 0);
  const room = look.width === undefined || look.wide ? undefined : Math.max(narrowestLastColumn, look.width - before);
  const line = (row: Row): string => {
    const cells = columns.map((column, index) => {
      const cell = row[index] ?? '';
      const shown =
        index === last
          ? fitted(textOf(cell), room)
          : padded(visible(textOf(cell)), widths[index] ?? 0, column.align ?? 'left');
      return typeof cell === 'string' ? shown : look.paint(cell.tone, shown);
    });
    return cells.join(gap).trimEnd();
  };
  return { header: look.paint('heading', line(columns.map((column) => column.title))), line };
}

/** A whole table: its header and its rows, each line ended. */
export function tableOf(columns: readonly Column[], rows: readonly Row[], look: Look): string {
  const grid = gridOf(columns, rows, look);
  return [grid.header, ...rows.map((row) => grid.line(row))].map((line) => `${line}\n`).join('');
}

function textOf(cell: string | Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** A column takes six UTF-16 units at most: a letter and two marks, of two each. What is certainly cut off is not looked at. */
const mostUnitsOfColumn = 6;

function fitted(text: string, room: number | undefined): string {
  return room === undefined ? visible(text) : cut(visible(text.slice(0, (room + 2) * mostUnitsOfColumn)), room);
}
