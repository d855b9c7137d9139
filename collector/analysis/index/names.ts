/** Columns that every table of rows has, in the order in which they follow those of the plugin. */
export const placeColumns = ['placement', 'namespace', 'pod', 'pod_uid', 'container', 'container_pid'] as const;

/** Names for tables and columns, which SQLite compares without regard to case. */
class Names {
  readonly #taken: Set<string>;

  constructor(taken: readonly string[] = []) {
    this.#taken = new Set(taken.map(fold));
  }

  /** The name itself, or with the first number behind it that nobody has. */
  take(name: string): string {
    let free = name;
    for (let number = 2; this.#taken.has(fold(free)); number += 1) free = `${name}_${number}`;
    this.#taken.add(fold(free));
    return free;
  }
}

// SQLite folds A to Z alone; folding more makes two names out of what it could have taken as two, never one out of two.
const fold = (name: string): string => name.toLowerCase();

/** Returns the table of each plugin, in order: its name with underscores for everything but letters and digits. Never one of ours, which begin with "_". */
export function tableNames(plugins: readonly string[]): string[] {
  const names = new Names();
  return plugins.map((plugin) => {
    const name = plugin.replace(/[^A-Za-z0-9]/g, '_').slice(0, 128);
    // SQLite keeps names that begin so for itself.
    return names.take(/^[A-Za-z]/.test(name) && !/^sqlite_/i.test(name) ? name : `plugin_${name}`);
  });
}

/**
 * Returns the column of each column of a plugin, in order: its own name, made printable. One that is taken, by another or by a column of ours, gets a
 * number.
 */
export function columnNames(columns: readonly string[]): string[] {
  const names = new Names([...placeColumns, 'rowid', 'oid', '_rowid_']);
  return columns.map((column, place) => {
    const name = column
      .toWellFormed()
      .replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '_')
      .trim()
      .slice(0, 128);
    return names.take(name === '' ? `column_${place + 1}` : name.toWellFormed());
  });
}

/** A name as an identifier of SQL. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
