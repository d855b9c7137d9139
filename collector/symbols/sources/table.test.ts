import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settings } from '../../config.ts';
import { createSources, type SourceDeps, type SourceSettings, sourceTable } from './table.ts';

const off: SourceSettings = { symbolDirs: [], symbolBuckets: [], cosUrl: '', debuginfodUrls: [], dwarf2json: '' };
const url = 'https://symbols.example';
const on = {
  symbolDirs: ['/symbols'],
  symbolBuckets: [url],
  cosUrl: url,
  debuginfodUrls: [url],
  dwarf2json: 'dwarf2json',
} as const;
const deps: SourceDeps = { ask: async () => ({ kind: 'offline' }), confine: (_files, argv) => argv };
const names = sourceTable.map(({ name }) => name);
const read = (path: string) => readFileSync(join(import.meta.dirname, '../../..', path), 'utf8');

/** The variable of a setting of Config: symbolDirs is KCORDER_SYMBOL_DIRS. */
const variableOf = (key: string) => `KCORDER_${key.replace(/[A-Z]/g, '_$&').toUpperCase()}`;

const configured = (choices: SourceSettings) =>
  createSources(choices, deps).flatMap(({ name, source }) => (source === undefined ? [] : [name]));

describe('the table of sources', () => {
  test('has each name once, and a source for each setting', () => {
    expect(new Set(names).size).toBe(names.length);
    const used = sourceTable.flatMap(({ setting }) => setting ?? []);
    expect(used.sort()).toEqual(Object.keys(off).sort());
  });

  test('lists what is not configured, without a source', () => {
    expect(createSources(off, deps).map(({ name }) => name)).toEqual(names);
    expect(configured(off)).toEqual(['node']);
    expect(configured(on)).toEqual(names);
  });

  test.each(sourceTable.flatMap(({ name, setting }) => (setting === undefined ? [] : [[name, setting] as const])))(
    '%s is turned on by %s alone, which the environment has and install.md tells',
    (name, setting) => {
      expect(configured({ ...off, [setting]: on[setting] }).sort()).toEqual(['node', name].sort());
      expect(settings.entries[setting].row.name).toBe(variableOf(setting));
      expect(read('docs/install.md')).toContain(`| \`${variableOf(setting)}\` |`);
    },
  );
});

test('the contract names the sources in the order in which they are asked', () => {
  expect(read('proto/kcorder/v1/symbols.proto')).toContain(`  // ${['cache', ...names].join(', ')}.\n`);
});

test('operate.md tells each of them, in that order, with its variable', () => {
  const [, table = ''] = read('docs/operate.md').split('\n| source | asked when | what it has |\n');
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n').slice(1);
  expect(rows.map((row) => /^\| `([a-z0-9]+)` \|/.exec(row)?.[1])).toEqual(['cache', ...names]);
  for (const [index, { setting }] of sourceTable.entries())
    expect(rows[index + 1]).toContain(setting === undefined ? 'always' : `\`${variableOf(setting)}\``);
});
