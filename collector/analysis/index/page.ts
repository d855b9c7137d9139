import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { nearNames } from '../near-names.ts';
import { type Clause, clauseOf, sortKey, tickFunction } from './conditions.ts';
import type { RowOrder } from './filter.ts';
import { placeColumns, quoted } from './names.ts';
import { makePageToken, readPageToken } from './page-token.ts';
import type { PageColumn, RowPage, RowQuery } from './query.ts';
import type { ColumnType } from './schema.ts';

/** Bounds of one page, which always holds a row: bytes of text, and cells, each of which becomes a message. */
const mostBytes = 4 * 2 ** 20;
const mostCells = 50_000;

/** Called every thousand rows of a search; what it throws ends it. */
export type Tick = () => void;

/** Reads a page of one table. Throws invalid_argument for what the table does not have, and what `tick` throws. */
export function readPage(database: DatabaseSync, query: RowQuery, reportSha256: string, tick: Tick): RowPage {
  const plugin = database.prepare('SELECT * FROM _plugins WHERE plugin = ?').get(query.plugin);
  if (plugin === undefined) throw notRun(database, query.plugin);
  const told = {
    plugin: query.plugin,
    state: String(plugin.state),
    reason: String(plugin.reason),
    warnings: JSON.parse(String(plugin.warnings)) as string[],
    rowCount: Number(plugin.rows),
  };
  if (plugin.table_name === null) return { columns: [], rows: [], nextPageToken: '', ...told };
  const table = new Table(database, query.plugin, String(plugin.table_name));
  const found = search(database, table, query, { after: readPageToken(query, reportSha256), tick });
  const { rows, last } = readRows(database, table, found.slice(0, query.pageSize));
  // Nothing found must mean that nothing is there, not that a name is wrong.
  if (found.length === 0 && query.namespace !== '' && !isKnown(database, query))
    told.warnings.unshift(`the node named no pod ${query.namespace}/${query.pod || '*'} when the capture began`);
  const isLast = last === undefined || last === found.at(-1);
  return {
    columns: table.columns,
    rows,
    nextPageToken: isLast ? '' : makePageToken(query, reportSha256, last),
    ...told,
  };
}

/** The columns of a table, and by which of them rows are found. */
class Table {
  readonly name: string;
  readonly columns: readonly PageColumn[];
  readonly #plugin: string;
  readonly #pid: string | undefined;
  readonly #byName: ReadonlyMap<string, string>;

  constructor(database: DatabaseSync, plugin: string, name: string) {
    this.name = name;
    this.#plugin = plugin;
    const own = database
      .prepare('SELECT title, column_name, type, key FROM _columns WHERE plugin = ? ORDER BY position')
      .all(plugin);
    this.columns = [
      ...own.map((column) => ({ name: String(column.column_name), type: column.type as ColumnType })),
      ...placeColumns.map((each) => ({ name: each, type: each === 'container_pid' ? 'integer' : 'text' }) as const),
    ];
    const pid = own.find(({ key }) => key === 'pid');
    this.#pid = pid && String(pid.column_name);
    const fold = (text: string): string => text.toLowerCase();
    // A column goes by its name here, or by the plugin's own where nothing else has that.
    this.#byName = new Map([
      ...own.map(({ title, column_name: column }) => [fold(String(title)), String(column)] as const).reverse(),
      ...this.columns.map((column) => [fold(column.name), column.name] as const),
    ]);
  }

  column(word: string): string {
    const column = this.#byName.get(word.toLowerCase());
    if (column !== undefined) return column;
    const shown = (name: string): string => (/^\w+$/.test(name) ? name : `"${name}"`);
    const near = nearNames(
      word,
      this.columns.map(({ name }) => name),
    ).map(shown);
    const hint = near.length === 0 ? '' : ` Did you mean ${near.join(', ')}?`;
    const names = this.columns.map(({ name }) => shown(name)).join(', ');
    throw new Fault(
      'invalid_argument',
      `${this.#plugin} has no column "${word.slice(0, 80)}".${hint} Its columns: ${names.slice(0, 2_000)}`,
    );
  }

  /** Returns the SQL that rows are ordered by. */
  sortKey(word: string): string {
    const column = this.column(word);
    const type = this.columns.find(({ name }) => name === column)?.type;
    return type === 'mixed' || type === 'text' ? sortKey(quoted(column)) : quoted(column);
  }

  get pid(): string {
    if (this.#pid !== undefined) return this.#pid;
    throw new Fault('invalid_argument', `the rows of ${this.#plugin} name no process: ask without a pid`);
  }
}

/** Rowids of the page, and of one row more where there is one. */
function search(
  database: DatabaseSync,
  table: Table,
  query: RowQuery,
  { after, tick }: { readonly after: number | undefined; readonly tick: Tick },
): number[] {
  const order = query.order && { ...query.order, key: table.sortKey(query.order.column) };
  // Asked for one row in a thousand, since calls into JavaScript would be what a search takes most time for; and first, or it would be asked only for
  // rows that fit.
  const clauses: Clause[] = [{ sql: `((rowid & 1023) <> 0 OR ${tickFunction}())`, values: [] }];
  clauses.push(...conditionsOf(table, query));
  if (after !== undefined) clauses.push(clauseAfter(database, table, order, after));
  database.function(tickFunction, { directOnly: true }, () => {
    tick();
    return 1;
  });
  const by = order === undefined ? 'rowid' : `${order.key} ${order.descending ? 'DESC' : 'ASC'}, rowid`;
  const where = clauses.map(({ sql }) => sql).join(' AND ');
  const values = clauses.flatMap((clause) => [...clause.values]);
  tick();
  return database
    .prepare(`SELECT rowid FROM ${quoted(table.name)} WHERE ${where} ORDER BY ${by} LIMIT ?`)
    .all(...values, BigInt(query.pageSize + 1))
    .map(({ rowid }) => Number(rowid));
}

function* conditionsOf(table: Table, query: RowQuery): Generator<Clause> {
  const { namespace, pod, container, pid } = query;
  for (const [column, value] of Object.entries({ namespace, pod, container }))
    if (value !== '') yield { sql: `${column} = ?`, values: [value] };
  if (pid !== undefined) yield { sql: `${quoted(table.pid)} = ?`, values: [BigInt(pid)] };
  for (const condition of query.conditions) yield clauseOf(table.column(condition.column), condition);
}

type KeyedOrder = Pick<RowOrder, 'descending'> & { readonly key: string };

/** What comes after a row in an order that has nulls first, then numbers, then texts, as SQLite has it. */
function clauseAfter(database: DatabaseSync, table: Table, order: KeyedOrder | undefined, rowid: number): Clause {
  const after = BigInt(rowid);
  if (order === undefined) return { sql: 'rowid > ?', values: [after] };
  const cell = order.key;
  const statement = database.prepare(`SELECT ${cell} AS value FROM ${quoted(table.name)} WHERE rowid = ?`);
  statement.setReadBigInts(true);
  const value: SQLInputValue = statement.get(after)?.value ?? null;
  if (value === null)
    return order.descending
      ? { sql: `(${cell} IS NULL AND rowid > ?)`, values: [after] }
      : { sql: `(${cell} IS NOT NULL OR rowid > ?)`, values: [after] };
  const beyond = order.descending ? `${cell} < ? OR ${cell} IS NULL` : `${cell} > ?`;
  return { sql: `(${beyond} OR (${cell} = ? AND rowid > ?))`, values: [value, value, after] };
}

/** The rows, as many as fit, and the rowid of the last of them. */
function readRows(
  database: DatabaseSync,
  table: Table,
  rowids: readonly number[],
): { rows: RowPage['rows']; last: number | undefined } {
  const names = table.columns.map(({ name }) => quoted(name)).join(', ');
  const read = database.prepare(`SELECT ${names} FROM ${quoted(table.name)} WHERE rowid = ?`);
  read.setReturnArrays(true);
  const rows: (string | number | boolean | null)[][] = [];
  let bytes = 0;
  let last: number | undefined;
  for (const rowid of rowids) {
    const cells = read.get(BigInt(rowid)) as unknown as (string | number | null)[];
    for (const cell of cells) bytes += typeof cell === 'string' ? Buffer.byteLength(cell) : 8;
    const isFull = bytes > mostBytes || (rows.length + 1) * cells.length > mostCells;
    if (isFull && rows.length > 0) break;
    rows.push(
      cells.map((cell, index) => (table.columns[index]?.type === 'boolean' && cell !== null ? cell === 1 : cell)),
    );
    last = rowid;
  }
  return { rows, last };
}

/** Whether the node named such a pod. */
function isKnown(database: DatabaseSync, { namespace, pod }: RowQuery): boolean {
  const ofPod = pod === '' ? '' : 'AND pod = ?';
  const known = database.prepare(`SELECT 1 FROM _containers WHERE namespace = ? ${ofPod}`);
  return known.get(namespace, ...(pod === '' ? [] : [pod])) !== undefined;
}

function notRun(database: DatabaseSync, plugin: string): Fault {
  const names = database.prepare('SELECT plugin FROM _plugins').all();
  const known = names.map(({ plugin: name }) => String(name)).join(', ');
  return new Fault(
    'invalid_argument',
    `no plugin ${plugin.slice(0, 80)} was run on this capture: 'kcorder analyze --plugin' adds one. The ones that were run: ${known}`,
  );
}
