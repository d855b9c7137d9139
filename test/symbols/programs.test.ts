import { afterAll, beforeAll, expect, test } from 'vitest';
import { BadInput } from '../../isf/bad-input.ts';
import { differences, digestsOf, type Section } from '../../isf/fixtures/canonical.ts';
import { command } from '../../tools/setup/command.ts';
import { knownFaults, lines, Workshop } from './compiled.ts';
import { contentByDwarf2json, contentByUs } from './dwarf2json.ts';
import golden from './golden-programs.json' with { type: 'json' };

let workshop: Workshop;
let isGolden: boolean;
beforeAll(async () => {
  workshop = await Workshop.open();
  isGolden = JSON.stringify(await workshop.tools()) === JSON.stringify(golden.tools);
});
afterAll(() => workshop[Symbol.dispose]());

/** Digests of dwarf2json's content of a program: golden ones where these very compilers made it, else it is asked. */
async function digestsByDwarf2json(line: string): Promise<Record<Section, string>> {
  const known = new Map(Object.entries(golden.digests)).get(line);
  if (isGolden && known) return known;
  return digestsOf(await contentByDwarf2json(await workshop.compile(line)));
}

test.each(lines)('%s gives what dwarf2json gives', async (line) => {
  const content = contentByUs(await workshop.compile(line), { likeDwarf2json: true });
  expect(digestsOf(content)).toEqual(await digestsByDwarf2json(line));
});

test.each(knownFaults)('$line is read as $plain, which dwarf2json cannot: $why', async ({ line, plain, sections }) => {
  const [path, plainPath] = [await workshop.compile(line), await workshop.compile(plain)];
  const expected = await digestsByDwarf2json(plain);
  const found = digestsOf(contentByUs(path, { likeDwarf2json: true }));
  for (const section of sections) expect(found[section]).toBe(expected[section]);
  expect(differences(contentByUs(plainPath, {}), contentByUs(path, {}))).toEqual([]);
});

test.each([
  ['gcc -g -gsplit-dwarf', /\.dwo files/],
  ['gcc -gdwarf-4 -gsplit-dwarf', /\.dwo files/],
  ['clang -g -gsplit-dwarf', /\.dwo files/],
  ['gcc -g -r', /give the linked vmlinux/],
  ['gcc -g0', /no DWARF debug information/],
  ['gcc -g -s', /no symbol table/],
])('%s is refused', async (line, message) => {
  const path = await workshop.compile(line);
  expect(() => contentByUs(path, {})).toThrow(message);
  expect(() => contentByUs(path, {})).toThrow(BadInput);
});

test('a program that shares its types with another by dwz -m is refused', async () => {
  const paths = [await workshop.compile('gcc -gdwarf-4 -O0'), await workshop.compile('gcc -gdwarf-4 -O1')];
  await command('dwz', ['-m', 'shared', ...paths], { cwd: workshop.folder });
  expect(() => contentByUs(paths[0] ?? '', {})).toThrow(/supplementary file/);
});
