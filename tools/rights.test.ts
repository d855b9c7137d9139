import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { roles } from '@kcorder/proto/rights/roles.ts';
import { expect, test } from 'vitest';
import { derivedFiles } from './rights.ts';
import { repoDir } from './setup/cache.ts';

test.each(derivedFiles())('%s is what the table of roles gives: otherwise run `npm run generate`', (path, text) => {
  expect(readFileSync(join(repoDir, path), 'utf8')).toBe(text);
});

test("the chart's values take these roles and no others", () => {
  const schema = readFileSync(join(repoDir, 'helm/kcorder/values.schema.json'), 'utf8');
  const names = roles.map(({ name }) => `"${name}"`).join(', ');
  expect(schema).toContain(`"enum": [${names}]`);
});
