import { expect, test } from 'vitest';
import type { AnalysisSpec } from '../capture/capture.ts';
import { pluginsOf, specProblem } from './spec.ts';

const lsof = { name: 'linux.lsof.Lsof' };

test('a profile is its plugins; plugins by name run beside the one that places rows', () => {
  expect(pluginsOf({ profile: 'quick' })).toEqual(['processes', 'sockets']);
  expect(pluginsOf({ plugins: [lsof] })).toEqual(['processes', lsof]);
  expect(pluginsOf({ plugins: [lsof, { name: 'processes' }] })).toEqual([lsof, { name: 'processes' }]);
});

test('what can be run has no problem', () => {
  const regex = { name: 'linux.vmaregexscan.VmaRegExScan', arguments: { pattern: 'a:b=c', pid: '1,2' } };
  const inode = { name: 'linux.pagecache.InodePages', arguments: { inode: '0xffff8880' } };
  for (const spec of [{ profile: 'deep' }, { plugins: [lsof, regex, inode] }])
    expect(specProblem(spec)).toBeUndefined();
});

const plugin = (name: string, given?: Record<string, string>): AnalysisSpec => ({
  plugins: [{ name, ...(given && { arguments: given }) }],
});

test.each<[string, AnalysisSpec, string | RegExp]>([
  ['an unknown profile', { profile: 'all' }, 'there is no profile "all"; there are quick, standard, deep'],
  ['a name of every object', { profile: 'constructor' }, /no profile "constructor"/],
  ['half of a name', plugin('lsof'), 'there is no plugin "lsof": did you mean linux.lsof.Lsof?'],
  ['another case', plugin('linux.pslist.pslist'), /did you mean linux\.pslist\.PsList/],
  ['a slip', plugin('linux.bash.Bahs'), /did you mean linux\.bash\.Bash/],
  ['a kind of rows', plugin('env'), /did you mean linux\.envars\.Envars\?/],
  ['an old alias', plugin('linux.malfind.Malfind'), /did you mean linux\.malware\.malfind\.Malfind/],
  ['a profile as a plugin', plugin('deep'), /no plugin "deep"; deep is a profile: /],
  [
    'what is like nothing',
    plugin('xxxxxxxxxxxx'),
    `there is no plugin "xxxxxxxxxxxx": 'kcorder get plugins' lists them`,
  ],
  ['a long name', plugin('x'.repeat(500)), `there is no plugin "${'x'.repeat(80)}": 'kcorder get plugins' lists them`],
  ['a plugin twice', { plugins: [lsof, lsof] }, 'the plugin linux.lsof.Lsof is named twice: name each plugin once'],
  ['no plugin', { plugins: [] }, /at least one plugin/],
  ['an unknown argument', plugin(lsof.name, { pids: '1' }), /takes no argument "pids" here; it takes: pid, files_only/],
  ['an argument of another kind', plugin(lsof.name, { pid: 'one' }), /argument pid of linux\.lsof\.Lsof must be/],
  ['what writes files', plugin('linux.elfs.Elfs', { dump: 'true' }), /takes no argument "dump"/],
  [
    'a needed argument that is missing',
    plugin('linux.vmaregexscan.VmaRegExScan'),
    /VmaRegExScan needs the argument pattern$/,
  ],
  ['one of several that is missing', plugin('linux.pagecache.InodePages', {}), /needs the argument find or inode$/],
  [
    'more than is kept',
    plugin('linux.vmaregexscan.VmaRegExScan', { pattern: 'x'.repeat(33_000) }),
    /take more than 32768 bytes/,
  ],
])('%s is named with what to do', (_what, spec, expected) => {
  expect(specProblem(spec)).toMatch(expected);
});
