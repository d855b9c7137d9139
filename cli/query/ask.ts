import { constants, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';

/** A question to a file. */
export interface Asked {
  readonly path: string;
  readonly sql: string;
}

/** A cell of the answer: bytes are hexadecimal, integers beyond 2^53 digits. */
export type AnswerCell = string | number | null;

/** "KcoR", as the collector writes it. */
const applicationId = 0x4b63_6f52;
/** What SQLite may hold. */
const mostHeapBytes = 512 << 20;
const harmlessPragmas: ReadonlySet<string> = new Set(['table_info', 'table_xinfo', 'table_list', 'index_list']);
const refusedFunctions: ReadonlySet<string> = new Set(['load_extension', 'fts3_tokenizer']);

/**
 * Asks a file of results one SELECT, and tells the columns of the answer, then each row. The file may have been made by somebody who wants to harm
 * whoever opens it: nothing in it is run, nothing is written, no other file is opened. Throws what SQLite says.
 */
export function ask({ path, sql }: Asked, tell: (line: readonly AnswerCell[]) => void): void {
  const database = new DatabaseSync(path, {
    readOnly: true,
    allowExtension: false,
    enableDoubleQuotedStringLiterals: false,
    defensive: true,
  });
  harden(database);
  check(database);
  database.setAuthorizer(authorize);
  const statement = prepare(database, sql);
  const rest = sql.slice(statement.sourceSQL.length).replace(/--[^\n]*/g, '');
  if (/[^\s;]/.test(rest)) throw new Error('it is more than one statement: ask one SELECT');
  const columns = statement.columns().map(({ name }) => name);
  if (columns.length === 0) throw new Error('it is no SELECT');
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  tell(columns);
  for (const row of statement.iterate()) tell((row as unknown as SQLOutputValue[]).map(cellOf));
}

/** Throws what SQLite says; of a table that is not there also why, where its plugin gave no result. */
function prepare(database: DatabaseSync, sql: string): StatementSync {
  try {
    return database.prepare(sql);
  } catch (error) {
    const [, table] = /^no such table: (\w+)$/.exec(error instanceof Error ? error.message : '') ?? [];
    const failed = table === undefined ? undefined : failedPlugin(database, table);
    throw failed ?? error;
  }
}

function failedPlugin(database: DatabaseSync, table: string): Error | undefined {
  try {
    const named =
      "SELECT plugin, state, reason FROM _plugins WHERE table_name IS NULL AND replace(plugin, '.', '_') = ?";
    const found = database.prepare(named).get(table);
    return (
      found && new Error(`no such table: ${table}, since plugin ${found.plugin} is ${found.state}: ${found.reason}`)
    );
  } catch {
    return undefined;
  }
}

function harden(database: DatabaseSync): void {
  database.exec(`
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA query_only = ON;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA hard_heap_limit = ${mostHeapBytes};
  `);
}

/** Throws for a file that is damaged, not one of results, or has more in it than tables and their indexes. */
function check(database: DatabaseSync): void {
  const found = database.prepare('PRAGMA application_id').get()?.application_id;
  if (found !== applicationId) throw new Error('it is no file of results of a kcorder collector');
  const strange = database
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' OR rootpage = 0",
    )
    .get();
  if (strange !== undefined)
    throw new Error('it holds a view, a trigger or a virtual table, which no file of results has');
  const damage = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (damage !== 'ok') throw new Error(`it is damaged (${String(damage)}): fetch it again`);
}

function authorize(action: number, first: string | null, second: string | null): number {
  switch (action) {
    case constants.SQLITE_SELECT:
    case constants.SQLITE_READ:
    case constants.SQLITE_RECURSIVE:
      return constants.SQLITE_OK;
    case constants.SQLITE_FUNCTION:
      return refusedFunctions.has((second ?? '').toLowerCase()) ? constants.SQLITE_DENY : constants.SQLITE_OK;
    case constants.SQLITE_PRAGMA:
      return harmlessPragmas.has(first ?? '') ? constants.SQLITE_OK : constants.SQLITE_DENY;
    default:
      return constants.SQLITE_DENY;
  }
}

function cellOf(value: SQLOutputValue): AnswerCell {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
