import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestsOf } from '../../isf/fixtures/canonical.ts';
import golden from '../../isf/fixtures/golden.json' with { type: 'json' };
import { contentByDwarf2json } from './dwarf2json.ts';

const folder = join(import.meta.dirname, '../../isf/fixtures');

test.each(Object.entries(golden))('the digests of %s are those of dwarf2json', async (name, digests) => {
  expect(digestsOf(await contentByDwarf2json(join(folder, `${name}.elf`)))).toEqual(digests);
});
