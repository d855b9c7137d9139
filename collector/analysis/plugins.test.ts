import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type PluginRow, pluginTable, rowBoundOf } from './plugins.ts';
import { profiles } from './profiles.ts';

const python = join(import.meta.dirname, 'volatility');
const names: readonly string[] = pluginTable.map(({ name }) => name);
/** The files of our own plugins, each of which names its plugin in its first line. */
const files = new Map(
  readdirSync(join(python, 'plugins')).flatMap((name) => {
    const text = readFileSync(join(python, 'plugins', name), 'utf8');
    const plugin = /^"""`([\w.]+)`:/.exec(text)?.[1];
    return plugin === undefined ? [] : [[plugin, text]];
  }),
);

describe('the table of plugins', () => {
  test('has each name once', () => {
    expect(new Set(names).size).toBe(pluginTable.length);
  });

  test('has every plugin of ours, and no other without a module of Volatility', () => {
    expect(files.size).toBeGreaterThan(0);
    for (const name of files.keys()) expect(names).toContain(name);
    for (const name of names) if (!files.has(name)) expect(name).toMatch(/^linux(\.\w+)+$/);
  });

  test.each(pluginTable.flatMap((row) => ('columns' in row ? [[row.name, row.columns] as const] : [])))(
    'knows the columns of %s as the runner prints them',
    (name, columns) => {
      const [, list = ''] = /^COLUMNS = \[([^\]]*)\]$/m.exec(files.get(name) ?? '') ?? [];
      expect([...list.matchAll(/"(\w+)"/g)].map(([, column]) => column)).toEqual(columns);
    },
  );
});

describe('profiles', () => {
  test('each has all of the one before, and each plugin once', () => {
    const { quick, standard, deep } = profiles;
    expect(standard.slice(0, quick.length)).toEqual(quick);
    expect(deep.slice(0, standard.length)).toEqual(standard);
    expect(new Set(deep).size).toBe(deep.length);
  });

  test('the largest has every plugin but those that need arguments, what packs files, and the table of all symbols', () => {
    const rows: readonly PluginRow[] = pluginTable;
    const leftOut = ['linux.pagecache.RecoverFs', 'linux.kallsyms.Kallsyms'];
    const others = rows.filter(({ name, needs }) => needs === undefined && !leftOut.includes(name));
    expect([...profiles.deep].sort()).toEqual(others.map(({ name }) => name).sort());
  });
});

test('columns that place a row are among those that are read here', () => {
  for (const row of pluginTable as readonly PluginRow[]) {
    const { columns, pidColumn, taskColumn, netNamespaceColumn } = row;
    if (columns === undefined) continue;
    for (const column of [pidColumn, taskColumn, netNamespaceColumn].filter((each) => each !== undefined))
      expect(columns, row.name).toContain(column);
  }
});

test('rows that are read here are bounded more closely than those that are only passed on', () => {
  for (const row of pluginTable)
    if ('columns' in row) expect(rowBoundOf(row.name).bytes).toBeLessThan(rowBoundOf('linux.bash.Bash').bytes);
});
