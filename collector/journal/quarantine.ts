import type { DatabaseSync } from 'node:sqlite';
import { checks } from './checks.ts';

/** Tables, indices and triggers beside the tables that are checked. */
const beside = `
  CREATE TABLE quarantine (
    sequence INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    source TEXT NOT NULL,
    why TEXT NOT NULL,
    row TEXT NOT NULL
  ) STRICT;
  CREATE TABLE named_containers (
    capture_id TEXT PRIMARY KEY,
    containers TEXT NOT NULL CHECK (json_valid(containers) AND length(containers) <= ${16 << 20})
  ) STRICT;
  INSERT OR IGNORE INTO named_containers
    SELECT id, coalesce(json_extract(state, '$.start.containers'), json_extract(state, '$.acquired.start.containers'))
    FROM captures WHERE json_valid(state)
      AND coalesce(json_extract(state, '$.start.containers'), json_extract(state, '$.acquired.start.containers'), '[]') <> '[]';
  UPDATE captures SET state = json_remove(state, '$.start.containers', '$.acquired.start.containers') WHERE json_valid(state)
    AND (id IN (SELECT capture_id FROM named_containers)
      OR coalesce(json_extract(state, '$.start.containers'), json_extract(state, '$.acquired.start.containers'), '[]') = '[]');
  UPDATE captures SET progress_at = coalesce(json_extract(state, '$.start.openedAt'), '')
    WHERE progress_at = '' AND phase IN ('acquiring', 'sealing') AND json_valid(state);
  CREATE INDEX audit_by_capture ON audit (capture_id, seq);
  CREATE TRIGGER audit_bounded BEFORE INSERT ON audit
    WHEN octet_length(NEW.detail) > ${4 << 20}
    BEGIN SELECT RAISE(ABORT, 'an audit record is larger than any should be'); END;
`;

/** Conditions of rows that belong to a capture which is not there any more. */
const orphans: Readonly<Record<string, string>> = {
  storage: 'capture_id NOT IN (SELECT id FROM captures)',
  analyses_again: 'capture_id NOT IN (SELECT id FROM captures)',
};

/**
 * The fourth version of the database: what has to hold of each row is checked by the database itself. Rows that violate it already are set aside
 * into `quarantine`, where nobody lists or adds them up; the audit log, which is a chain, keeps all of its own. Call it in a transaction.
 */
export function addChecks(database: DatabaseSync): void {
  database.exec(beside);
  for (const [table, conditions] of Object.entries(checks)) {
    setAside(database, table, conditions);
    rebuild(database, table, conditions);
  }
}

/** Sets rows aside that violate a check although the database has it. Call it in a transaction. */
export function setViolationsAside(database: DatabaseSync): void {
  for (const [table, conditions] of Object.entries(checks)) setAside(database, table, conditions);
  endOrphanedRuns(database);
}

/** Sets a capture aside that cannot be read, and ends its run: its node and its schedule are free. Call it in a transaction. */
export function setCaptureAside(database: DatabaseSync, captureId: string, why: string): void {
  setRowAside(database, 'captures', captureId, why);
  endOrphanedRuns(database);
}

/** Sets a schedule aside that cannot be read. Call it in a transaction. */
export const setScheduleAside = (database: DatabaseSync, name: string, why: string): void =>
  setRowAside(database, 'schedules', name, why);

const keys = { captures: 'id', schedules: 'name' } as const;

function setRowAside(database: DatabaseSync, table: keyof typeof keys, key: string, why: string): void {
  const which = `FROM ${table} WHERE ${keys[table]} = ?`;
  database
    .prepare(
      `INSERT INTO quarantine (at, source, why, row) SELECT ?, '${table}', ?, ${wholeRow(database, table)} ${which}`,
    )
    .run(new Date().toISOString(), why, key);
  database.prepare(`DELETE ${which}`).run(key);
}

function endOrphanedRuns(database: DatabaseSync): void {
  database.exec(
    `UPDATE runs SET state = 'failed', reason = 'database_unusable', detail = 'its capture cannot be read from the database: it is in quarantine'
     WHERE state = 'running' AND capture_id NOT IN (SELECT id FROM captures)`,
  );
}

function setAside(database: DatabaseSync, table: string, conditions: Readonly<Record<string, string>>): void {
  const orphan = orphans[table];
  const whens = [
    ...Object.entries(conditions).map(([name, condition]) => `WHEN NOT coalesce((${condition}), 0) THEN '${name}'`),
    ...(orphan === undefined ? [] : [`WHEN ${orphan} THEN 'its capture is in quarantine'`]),
  ];
  const why = `CASE ${whens.join(' ')} END`;
  database
    .prepare(
      `INSERT INTO quarantine (at, source, why, row)
       SELECT ?, '${table}', ${why}, ${wholeRow(database, table)} FROM ${table} WHERE ${why} IS NOT NULL`,
    )
    .run(new Date().toISOString());
  database.exec(`DELETE FROM ${table} WHERE ${why} IS NOT NULL`);
}

/** An expression of all columns as JSON. */
function wholeRow(database: DatabaseSync, table: string): string {
  const columns = database.prepare('SELECT name FROM pragma_table_info(?)').all(table);
  return `json_object(${columns.map(({ name }) => `'${String(name)}', "${String(name)}"`).join(', ')})`;
}

/** SQLite adds no check to a table that is there: makes it anew, with its rows in their order and its indices. */
function rebuild(database: DatabaseSync, table: string, conditions: Readonly<Record<string, string>>): void {
  const made = database
    .prepare(`SELECT type, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC`)
    .all(table);
  const sql = String(made.find(({ type }) => type === 'table')?.sql);
  const constraints = Object.entries(conditions).map(([name, condition]) => `CONSTRAINT ${name} CHECK (${condition})`);
  const checked = sql
    .replace(/^CREATE TABLE \S+/, `CREATE TABLE ${table}_checked`)
    .replace(/\)\s*STRICT$/, `, ${constraints.join(', ')}) STRICT`);
  database.exec(`${checked};
    INSERT INTO ${table}_checked SELECT * FROM ${table} ORDER BY rowid;
    DROP TABLE ${table};
    ALTER TABLE ${table}_checked RENAME TO ${table};
    ${made.flatMap(({ type, sql: index }) => (type === 'index' ? String(index) : [])).join(';')}`);
}

/** Rows that were set aside, by table. */
export function quarantined(database: DatabaseSync): { source: string; why: string; count: number }[] {
  return database
    .prepare('SELECT source, why, count(*) AS count FROM quarantine GROUP BY source, why ORDER BY source, why')
    .all()
    .map(({ source, why, count }) => ({ source: String(source), why: String(why), count: Number(count) }));
}
