import { placeColumns, quoted } from './names.ts';

/** Of the file; one of another version is made anew. */
export const indexVersion = 1;

/** "KcoR", which tells the file from any other SQLite file. */
export const applicationId = 0x4b63_6f52;

/** What all cells of a column are; `mixed` for several kinds, `empty` for none but nulls. */
export type ColumnType = 'integer' | 'real' | 'text' | 'boolean' | 'mixed' | 'empty';

/** Tables about the rows. What a plugin's name is to them is in `_plugins`, and the titles of its columns in `_columns`. */
export const metaTables = `
  CREATE TABLE _capture (
    capture_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seconds REAL NOT NULL,
    kernel_banner TEXT,
    kernel_build_id TEXT,
    paging_levels INTEGER,
    kernel_mismatch INTEGER NOT NULL,
    symbols_source TEXT,
    symbols_quality TEXT,
    isf_sha256 TEXT,
    confinement TEXT,
    versions TEXT NOT NULL,
    masked INTEGER NOT NULL,
    report_sha256 TEXT NOT NULL
  ) STRICT;
  CREATE TABLE _plugins (
    plugin TEXT PRIMARY KEY,
    table_name TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    rows INTEGER NOT NULL,
    indexed_rows INTEGER NOT NULL,
    seconds REAL NOT NULL,
    warnings TEXT NOT NULL
  ) STRICT;
  CREATE TABLE _columns (
    plugin TEXT NOT NULL,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    column_name TEXT NOT NULL,
    type TEXT NOT NULL,
    key TEXT,
    PRIMARY KEY (plugin, position)
  ) STRICT;
  CREATE TABLE _containers (
    namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    pod_uid TEXT NOT NULL,
    container TEXT NOT NULL,
    container_id TEXT NOT NULL,
    config_hash TEXT
  ) STRICT;
`;

/** A table of rows. Cells keep the kind that they have: a column says nothing of them. */
export function rowTable(table: string, columns: readonly string[]): string {
  const own = columns.map((column) => `${quoted(column)} ANY`);
  const placed = placeColumns.map((column) => `${column} ${column === 'container_pid' ? 'INTEGER' : 'TEXT'}`);
  return `CREATE TABLE ${quoted(table)} (${[...own, ...placed].join(', ')}) STRICT`;
}
