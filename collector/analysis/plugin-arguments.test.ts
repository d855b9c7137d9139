import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { runnerPlugins } from './plugin-arguments.ts';
import { type PluginRow, pluginTable } from './plugins.ts';

const refusal = (name: string, texts: Record<string, string>) => {
  try {
    runnerPlugins([{ name, arguments: texts }]);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('what the runner is told of a plugin', () => {
  test('is what the table has, and of one that is not in it the name', () => {
    expect(runnerPlugins(['linux.pstree.PsTree', 'hiddenModules', 'linux.check_idt.Check_idt'])).toEqual([
      { name: 'linux.pstree.PsTree', neverEmpty: true, processes: 'each', tree: true },
      { name: 'hiddenModules', neverEmpty: false, tree: false },
      { name: 'linux.check_idt.Check_idt', neverEmpty: false, tree: false },
    ]);
  });

  test('has the arguments by their kinds', () => {
    const texts = { pid: '1,42', address: '0xFFFFFFFFc0000000,0x1' };
    expect(runnerPlugins([{ name: 'linux.proc.Maps', arguments: texts }])).toMatchObject([
      { arguments: { pid: [1, 42], address: ['0xffffffffc0000000', '0x1'] } },
    ]);
    const scan = { pattern: 'a,b=c', maxsize: '64' };
    expect(runnerPlugins([{ name: 'linux.vmaregexscan.VmaRegExScan', arguments: scan }])).toMatchObject([
      { needs: ['pattern'], arguments: { pattern: 'a,b=c', maxsize: 64 } },
    ]);
    const recover = { tmpfs_only: 'true', compression_format: 'xz' };
    expect(runnerPlugins([{ name: 'linux.pagecache.RecoverFs', arguments: recover }])).toMatchObject([
      { arguments: { tmpfs_only: true, compression_format: 'xz' } },
    ]);
  });

  test('does not call it a failure when what was asked for is not there', () => {
    expect(runnerPlugins([{ name: 'linux.pslist.PsList', arguments: { pid: '7' } }])).toMatchObject([
      { neverEmpty: false, processes: 'some' },
    ]);
  });
});

test.each([
  ['linux.pslist.PsList', { pid: 'one' }, 'argument pid of linux.pslist.PsList must be at most 256 numbers'],
  ['linux.pslist.PsList', { pid: '-1' }, 'at most 256 numbers'],
  ['linux.pslist.PsList', { pid: '4294967296' }, 'at most 256 numbers'],
  ['linux.pslist.PsList', { pid: '1,'.repeat(256).concat('1') }, 'at most 256 numbers'],
  ['linux.pslist.PsList', { threads: 'yes' }, 'true or false'],
  ['linux.pslist.PsList', { dump: 'true' }, 'takes no argument "dump" here; it takes: pid, threads, decorate_comm'],
  ['linux.elfs.Elfs', { constructor: 'x' }, 'takes no argument "constructor"'],
  ['linux.ebpf.EBPF', { pid: '1' }, 'it takes: none'],
  ['linux.module_extract.ModuleExtract', { base: '1234' }, 'a hexadecimal address'],
  ['linux.module_extract.ModuleExtract', { base: '0x12345678123456789' }, 'a hexadecimal address'],
  ['linux.vmaregexscan.VmaRegExScan', { pattern: '' }, 'a text of 1 to 4096 characters'],
  ['linux.vmaregexscan.VmaRegExScan', { pattern: 'x'.repeat(4097) }, 'a text of 1 to 4096 characters'],
  ['linux.vmaregexscan.VmaRegExScan', { pattern: 'x\0' }, 'a text of 1 to 4096 characters'],
  ['linux.pagecache.Files', { type: 'REG,' }, 'words with commas'],
  ['linux.pagecache.RecoverFs', { compression_format: 'zip' }, 'one of gz, bz2, xz'],
  ['linux.vmayarascan.VmaYaraScan', { yara_file: 'file:///etc/passwd' }, 'takes no argument "yara_file"'],
] as const)('an argument of %s that is wrong is refused: %o', (name, texts, message) => {
  expect(refusal(name, texts)).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) });
});

test('a list of plugins is refused when it is empty, names one twice, or holds what is no name', () => {
  for (const requests of [[], ['processes', { name: 'processes' }], ['../../os']])
    expect(() => runnerPlugins(requests)).toThrow(/plugin/);
});

test('the table has the plugins of this Volatility, with the columns and arguments that they have', async () => {
  const script = join(import.meta.dirname, 'volatility/testing/describe.py');
  const told: Record<string, { columns: string[]; takes: Record<string, string>; required: string[] }> = JSON.parse(
    execFileSync(await ensureVolatility(), ['-B', script], { encoding: 'utf8' }),
  );
  const rows: readonly PluginRow[] = pluginTable.filter(({ name }) => name.startsWith('linux.'));
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(told).sort());
  for (const { name, takes = {}, needs = [], ...place } of rows) {
    const { columns = [], takes: known = {}, required = [] } = told[name] ?? {};
    for (const [argument, kind] of Object.entries(takes))
      expect(known[argument], `${name} ${argument}`).toBe(typeof kind === 'string' ? kindsOf[kind] : kind.join());
    for (const argument of required) expect(needs, name).toContain(argument);
    const { pidColumn, tidColumn, taskColumn, netNamespaceColumn, mountNamespaceColumn } = place;
    for (const column of [pidColumn, tidColumn, taskColumn, netNamespaceColumn, mountNamespaceColumn])
      if (column !== undefined) expect(columns, name).toContain(column);
  }
});

const kindsOf = {
  flag: 'bool',
  number: 'int',
  address: 'int',
  text: 'str',
  numbers: 'list of int',
  addresses: 'list of int',
  texts: 'list of str',
} as const;
