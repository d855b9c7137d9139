import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rowsOf } from '@kcorder/proto/settings.ts';
import { expect, test } from 'vitest';
import { settings as agent } from '../agent/settings.ts';
import { settings as cli } from '../cli/config.ts';
import { settings as collector } from '../collector/config.ts';
import { settingsTable } from './settings-table.ts';
import { repoDir } from './setup/cache.ts';

const read = (name: string) => readFileSync(join(repoDir, 'docs', name), 'utf8');
const tables = read('install.md')
  .split('| variable | default | meaning |\n|---|---|---|\n')
  .slice(1)
  .map((text) => text.split('\n\n', 1)[0]?.split('\n'));

test('docs/install.md has the table that the rows of the collector make', () => {
  expect(tables[0]).toEqual(settingsTable(collector));
});

test('docs/install.md has the table that the rows of the agent make', () => {
  expect(tables[1]).toEqual(settingsTable(agent));
});

test.each(rowsOf(cli))('docs/operate.md names $name', ({ name }) => {
  expect(read('operate.md')).toContain(name);
});

test.each([...rowsOf(collector), ...rowsOf(agent)])('$name ends with its unit, if it has one', ({ name, unit }) => {
  expect(/_(BYTES|SECONDS|DAYS)$/.exec(name)?.[1]?.toLowerCase()).toBe(unit);
});
