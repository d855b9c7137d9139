import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defaultPlugins, pluginTable, rowBoundOf, runnerPlugin } from './plugins.ts';

const python = join(import.meta.dirname, 'volatility');
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
    expect(new Set(defaultPlugins).size).toBe(pluginTable.length);
  });

  test('has every plugin of ours, and no other without a module of Volatility', () => {
    expect(files.size).toBeGreaterThan(0);
    for (const name of files.keys()) expect(defaultPlugins).toContain(name);
    for (const name of defaultPlugins) if (!files.has(name)) expect(name).toMatch(/^linux(\.\w+)+$/);
  });

  test.each(pluginTable.flatMap((row) => ('columns' in row ? [[row.name, row.columns] as const] : [])))(
    'knows the columns of %s as the runner prints them',
    (name, columns) => {
      const [, list = ''] = /^COLUMNS = \[([^\]]*)\]$/m.exec(files.get(name) ?? '') ?? [];
      expect([...list.matchAll(/"(\w+)"/g)].map(([, column]) => column)).toEqual(columns);
    },
  );
});

test('the runner is told what it has to know of a plugin, and of an unknown one its name', () => {
  expect(runnerPlugin('linux.pstree.PsTree')).toEqual({
    ...{ name: 'linux.pstree.PsTree', neverEmpty: true, processes: 'each', tree: true },
  });
  expect(runnerPlugin('hiddenModules')).toEqual({ name: 'hiddenModules', neverEmpty: false, tree: false });
  expect(runnerPlugin('linux.bash.Bash')).toEqual({ name: 'linux.bash.Bash', neverEmpty: false, tree: false });
});

test('rows that are read here are bounded more closely than those that are only passed on', () => {
  for (const row of pluginTable)
    if ('columns' in row) expect(rowBoundOf(row.name).bytes).toBeLessThan(rowBoundOf('linux.bash.Bash').bytes);
});
