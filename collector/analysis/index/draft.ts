import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { AnalysisReport, PluginReport } from '../analysis.ts';
import type { Cell } from '../protocol.ts';
import { columnNames, placeColumns, quoted } from './names.ts';
import type { PlacedRow } from './row-placer.ts';
import { type ColumnType, metaTables, rowTable } from './schema.ts';

/** A file that is being made. */
export class Draft {
  readonly #database: DatabaseSync;
  readonly #pageSize: number;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(metaTables);
    this.#pageSize = Number(database.prepare('PRAGMA page_size').get()?.page_size);
  }

  get bytes(): number {
    return Number(this.#database.prepare('PRAGMA page_count').get()?.page_count) * this.#pageSize;
  }

  openTable(table: string, columns: readonly string[]): RowTable {
    return new RowTable(this.#database, table, columns);
  }

  noteCapture(report: AnalysisReport, reportSha256: string, masked: boolean): void {
    const { kernel, symbols, isolation } = report;
    this.#insert('_capture', [
      ...[report.captureId, report.state, report.reason, report.detail, report.startedAt, report.seconds],
      ...[kernel?.banner ?? null, kernel?.buildId ?? null, whole(kernel?.pagingLevels), whole(report.kernelMismatch)],
      ...[symbols?.source ?? null, symbols?.quality ?? null, symbols?.isfSha256 ?? null],
      ...[isolation.confined?.level ?? null, JSON.stringify(report.versions), whole(masked), reportSha256],
    ]);
    for (const each of report.containers)
      this.#insert('_containers', [
        ...[each.podNamespace, each.podName, each.podUid, each.containerName, each.containerId],
        each.configHash ?? null,
      ]);
  }

  notePlugin(plugin: PluginReport, warnings: readonly string[], table: string | null, indexedRows: number): void {
    const { name, state, reason, rowCount, seconds } = plugin;
    const counts = [whole(rowCount), whole(indexedRows)];
    this.#insert('_plugins', [name, table, state, reason, ...counts, seconds, JSON.stringify(warnings)]);
  }

  noteColumn(plugin: string, position: number, column: Omit<NotedColumn, 'position'>): void {
    const { title, name, type, key } = column;
    this.#insert('_columns', [plugin, whole(position), title, name, type, key]);
  }

  #insert(table: string, values: readonly SQLInputValue[]): void {
    this.#database.prepare(`INSERT INTO ${table} VALUES (${values.map(() => '?').join(', ')})`).run(...values);
  }
}

/** A column as `_columns` has it. */
export interface NotedColumn {
  readonly position: number;
  /** The plugin's own name for it. */
  readonly title: string;
  readonly name: string;
  readonly type: ColumnType;
  /** By which of its keys.ts the rows are joined, if by this one. */
  readonly key: string | null;
}

/** One table of rows, which learns what its cells are. */
export class RowTable {
  readonly columns: readonly string[];
  readonly #database: DatabaseSync;
  readonly #table: string;
  readonly #insert: StatementSync;
  readonly #types: ColumnType[];
  rowCount = 0;

  constructor(database: DatabaseSync, table: string, titles: readonly string[]) {
    this.#database = database;
    this.#table = table;
    this.columns = columnNames(titles);
    this.#types = this.columns.map(() => 'empty');
    database.exec(rowTable(table, this.columns));
    const marks = [...this.columns, ...placeColumns].map(() => '?').join(', ');
    this.#insert = database.prepare(`INSERT INTO ${quoted(table)} VALUES (${marks})`);
  }

  add(row: readonly Cell[], { place, ownPid }: PlacedRow): void {
    const values: SQLInputValue[] = row.map((cell, index) => {
      this.#learn(index, cell);
      return bindable(cell);
    });
    const { placement, namespace, pod, podUid, container } = place;
    this.#insert.run(...values, placement, namespace, pod, podUid, container, ownPid === null ? null : BigInt(ownPid));
    this.rowCount += 1;
  }

  typeOf(index: number): ColumnType {
    return this.#types[index] ?? 'empty';
  }

  /** Makes look-ups by pod and by pid quick. A hundred rows are read as quickly as they are looked up. */
  addIndexes(pid: string | undefined): void {
    if (this.rowCount <= 100) return;
    const add = (name: string, columns: string) =>
      this.#database.exec(`CREATE INDEX ${quoted(`${this.#table}_by_${name}`)} ON ${quoted(this.#table)} (${columns})`);
    add('pod', 'namespace, pod');
    if (pid !== undefined) add('pid', quoted(pid));
  }

  #learn(index: number, cell: Cell): void {
    if (cell === null) return;
    const type = typeOfCell(cell);
    const before = this.#types[index];
    if (before === type || before === 'mixed') return;
    const areNumbers = isNumber(before) && isNumber(type);
    this.#types[index] = before === 'empty' ? type : areNumbers ? 'real' : 'mixed';
  }
}

function typeOfCell(cell: string | number | boolean): ColumnType {
  if (typeof cell === 'string') return 'text';
  if (typeof cell === 'boolean') return 'boolean';
  return Number.isSafeInteger(cell) ? 'integer' : 'real';
}

const isNumber = (type: ColumnType | undefined): boolean => type === 'integer' || type === 'real';

/** A number of JavaScript would become a floating-point number. */
function bindable(cell: Cell): SQLInputValue {
  if (typeof cell === 'string') return cell.toWellFormed();
  if (typeof cell === 'boolean') return whole(cell);
  return typeof cell === 'number' && Number.isSafeInteger(cell) ? BigInt(cell) : cell;
}

function whole(value: number | boolean): bigint;
function whole(value: number | undefined): bigint | null;
function whole(value: number | boolean | undefined): bigint | null {
  return value === undefined ? null : BigInt(value);
}
