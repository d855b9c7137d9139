import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BadInput } from '../../isf/bad-input.ts';
import { differences } from '../../isf/fixtures/canonical.ts';
import { command } from '../../tools/setup/command.ts';
import { ensureCompilers } from '../../tools/setup/compilers.ts';
import { contentByDwarf2json, contentByUs } from './dwarf2json.ts';

const sources = join(import.meta.dirname, 'programs');
const link = ['-nostdlib', '-static', '-Wl,-e,main', '-w'];
const folder = mkdtempSync(join(tmpdir(), 'kcorder-programs-'));
beforeAll(ensureCompilers);
afterAll(() => rmSync(folder, { recursive: true }));

/** Compiles the program by a command line and returns its path; what is after `|` is done to it then. */
async function compile(line: string): Promise<string> {
  const [compiler = '', ...steps] = line.split(' | ');
  const path = join(folder, line.replace(/[^\w.=-]+/g, '_'));
  const [program = '', ...options] = compiler.split(' ');
  const files = ['types.c', 'more.c'].map((name) => join(sources, name));
  await command(program, [...options, ...files, ...link, '-o', path], { cwd: folder });
  for (const step of steps) {
    const [tool = '', ...rest] = step.split(' ');
    await command(tool, [...rest, path], { cwd: folder });
  }
  return path;
}

const versions = ['gcc', 'clang'].flatMap((compiler) =>
  ['2', '3', '4', '5'].flatMap((version) => [
    `${compiler} -gdwarf-${version} -O0`,
    `${compiler} -gdwarf-${version} -O1`,
  ]),
);

test.each([
  ...versions,
  'gcc -gdwarf-4 -gdwarf64',
  'gcc -gdwarf-5 -gdwarf64 -O1',
  'gcc -g -gz=zlib',
  'gcc -gdwarf-4 -gz=zlib-gnu',
  'clang -g -gz=zlib',
  // neither gcc 12 nor clang 14 write zstd themselves
  'gcc -g | objcopy --compress-debug-sections=zstd',
  'clang -gdwarf-4 -fdebug-types-section',
  'gcc -g -flto -O2',
  'clang -g -flto -fuse-ld=lld -O2',
  'clang -g -flto=thin -fuse-ld=lld -O2',
  'gcc -gdwarf-4 | dwz',
  'gcc -gdwarf-5 | dwz',
  'clang -gdwarf-4 | dwz',
  'gcc -g -fPIE -Wl,-pie',
  'gcc -g | objcopy --only-keep-debug',
  'clang --target=aarch64-linux-gnu -fuse-ld=lld -gdwarf-4',
  'clang --target=aarch64-linux-gnu -fuse-ld=lld -gdwarf-5 -O1',
])('%s gives what dwarf2json gives', async (line) => {
  const path = await compile(line);
  expect(differences(await contentByDwarf2json(path), contentByUs(path, { likeDwarf2json: true }))).toEqual([]);
});

/** Where dwarf2json fails or is known to be wrong: why, and the same program compiled otherwise, which it reads well. */
const knownFaults = [
  {
    line: 'clang -gdwarf-5 -gdwarf64',
    plain: 'clang -gdwarf-5',
    why: 'debug/dwarf reads the indexes of strings in 64-bit DWARF at the wrong place and ends with "underflow"',
    sections: ['base_types', 'user_types', 'enums', 'symbols'],
  },
  {
    line: 'gcc -gdwarf-4 -fdebug-types-section',
    plain: 'gcc -gdwarf-4',
    why: 'debug/dwarf finds only the first type unit of a linked file, and dwarf2json lists none of their types',
    sections: ['base_types', 'user_types'],
  },
  {
    line: 'gcc -gdwarf-5 -fdebug-types-section',
    plain: 'gcc -gdwarf-5',
    why: 'debug/dwarf looks for type units in .debug_types only, where DWARF 5 has none',
    sections: ['base_types', 'user_types'],
  },
] as const;

test.each(knownFaults)('$line is read as $plain, which dwarf2json cannot: $why', async ({ line, plain, sections }) => {
  const [path, plainPath] = [await compile(line), await compile(plain)];
  const expected = await contentByDwarf2json(plainPath);
  const found = contentByUs(path, { likeDwarf2json: true });
  for (const section of sections) expect(found[section]).toEqual(expected[section]);
  const theirs = await contentByDwarf2json(path).catch(() => undefined);
  // once this fails, dwarf2json has been mended
  expect(theirs && differences(theirs, found)).not.toEqual([]);
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
  const path = await compile(line);
  expect(() => contentByUs(path, {})).toThrow(message);
  expect(() => contentByUs(path, {})).toThrow(BadInput);
});

test('a program that shares its types with another by dwz -m is refused', async () => {
  const paths = [await compile('gcc -gdwarf-4 -O0'), await compile('gcc -gdwarf-4 -O1')];
  await command('dwz', ['-m', 'shared', ...paths], { cwd: folder });
  expect(() => contentByUs(paths[0] ?? '', {})).toThrow(/supplementary file/);
});
