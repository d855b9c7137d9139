import { constants, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';

/** A question to a file. */
export interface Asked {
  readonly path: string;
  readonly sql: string;
}

/** A cell of the answer: bytes are hexadecimal, integers beyond 2^53 digits, what is infinite a word: JSON has neither. */
export type AnswerCell = string | number | null;

/** "KcoR", as the collector writes it. */
const applicationId = 0x4b63_6f52;
/** Warnings that are told with an answer. */
const mostWarnings = 20;
/** What SQLite may hold. */
const mostHeapBytes = 512 << 20;
const harmlessPragmas: ReadonlySet<string> = new Set(['table_info', 'table_xinfo', 'table_list', 'index_list']);
const refusedFunctions: ReadonlySet<string> = new Set(['load_extension', 'fts3_tokenizer']);

/** Said after the rows of an answer. */
export interface Remarks {
  /** Warnings of the plugins whose tables were read, in the words of the file. */
  readonly warnings: readonly string[];
}

/**
 * Asks a file of results one SELECT, and tells the columns of the answer, then each row, then the warnings of the plugins. The file may have been made by somebody who wants to harm
 * whoever opens it: nothing in it is run, nothing is written, no other file is opened. Throws what SQLite says.
 */
export function ask({ path, sql }: Asked, tell: (line: readonly AnswerCell[] | Remarks) => void): void {
  const database = new DatabaseSync(path, {
    readOnly: true,
    allowExtension: false,
    enableDoubleQuotedStringLiterals: false,
    defensive: true,
  });
  harden(database);
  check(database);
  const tables = new Set<string>();
  database.setAuthorizer((action, first, second) => {
    if (action === constants.SQLITE_READ && first !== null) tables.add(first);
    return authorize(action, first, second);
  });
  const statement = prepare(database, sql);
  const rest = sql.slice(statement.sourceSQL.length).replace(/--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g, '');
  if (/[^\s;]/.test(rest)) throw new Error('it is more than one statement: ask one SELECT');
  const columns = statement.columns().map(({ name }) => name);
  if (columns.length === 0) throw new Error('it is no SELECT');
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  tell(columns);
  for (const row of statement.iterate()) tell((row as unknown as SQLOutputValue[]).map(cellOf));
  tell({ warnings: [...tables].flatMap((table) => warningsOf(database, table)).slice(0, mostWarnings) });
}

/** None of a file that does not have them as the collector writes them. */
function warningsOf(database: DatabaseSync, table: string): string[] {
  try {
    const found = database.prepare('SELECT plugin, warnings FROM _plugins WHERE table_name = ?').get(table);
    const warnings: unknown = JSON.parse(String(found?.warnings ?? '[]'));
    return Array.isArray(warnings) ? warnings.map((warning) => `${found?.plugin}: ${warning}`) : [];
  } catch {
    return [];
  }
}

/** Throws what SQLite says; of a table that is not there also why, where its plugin gave no result. */
function prepare(database: DatabaseSync, sql: string): StatementSync {
  try {
    return database.prepare(sql);
  } catch (error) {
    const [, table] = /^no such table: (\w+)$/.exec(error instanceof Error ? error.message : '') ?? [];
    if (table === undefined) throw error;
    throw (
      failedPlugin(database, table) ??
      new Error(
        `no such table: ${table}. Each plugin that was run and did not fail has one, SELECT plugin, state, table_name FROM _plugins lists them; kcorder analyze CAPTURE --plugin NAME runs another`,
      )
    );
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
  // What the file calls them is not what SQLite makes of them.
  const strange = database
    .prepare(
      `SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR rootpage = 0
       UNION ALL SELECT name FROM pragma_table_list WHERE type <> 'table' AND schema = 'main'`,
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
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
