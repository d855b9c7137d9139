import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeSystemTree, type TreeChanges } from '../testing/system-tree.ts';
import { type Namespaces, unmask } from './unmask.ts';

let dir: string;
let logged: Record<string, unknown>[];
const path = process.env.PATH;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-unmask-'));
  logged = [];
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

/** Puts a script in umount's place; it is given the path to unmount. */
function umountIs(script: string): void {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'umount'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.PATH = bin + delimiter + path;
}

const mountinfo = (name: string) => join(dir, 'system/mountinfo').replace('mountinfo', name);
const proc = '22 1 0:21 / /proc rw,nosuid - proc proc rw\n';
const mask = (id: number, parent: number, name: string): string =>
  `${id} ${parent} 0:5 /null ${mountinfo(name)} rw,nosuid - tmpfs tmpfs rw\n`;
/** Removes the last mask from the mountinfo, as the kernel does. */
const takesAway = () => `echo "$1" >> ${dir}/calls; sed -i '$d' ${mountinfo('mountinfo')}`;
const container: Namespaces = { pid: 'pid:[4026532700]', mount: 'mnt:[4026532698]', mountOfFirst: 'mnt:[4026532698]' };
const calls = (): string[] => {
  const read = spawnSync('cat', [join(dir, 'calls')], { encoding: 'utf8' });
  return read.stdout.split('\n').filter((line) => line !== '');
};

async function unmasked(changes: TreeChanges, namespaces: Namespaces = container): Promise<string | undefined> {
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  return await unmask(makeSystemTree(join(dir, 'system'), changes), log, namespaces);
}

test('what lies over kcore, iomem and kallsyms is unmounted, layer by layer, and nothing else', async () => {
  umountIs(takesAway());
  const others = `40 22 0:9 / ${mountinfo('banner')} rw - tmpfs tmpfs rw\n41 22 0:9 / ${mountinfo('kcore2')} rw - tmpfs tmpfs rw\n`;
  const masks = mask(33, 22, 'kallsyms') + mask(30, 22, 'kcore') + mask(31, 30, 'kcore');
  expect(await unmasked({ mountinfo: proc + others + masks })).toBeUndefined();
  expect(calls()).toEqual([mountinfo('kcore'), mountinfo('kcore'), mountinfo('kallsyms')]);
  expect(logged).toHaveLength(3);
  expect(logged[0]).toMatchObject({ path: mountinfo('kcore'), filesystem: 'tmpfs', root: '/null' });
});

test.each<[string, TreeChanges, Namespaces, RegExp | undefined]>([
  ['nothing is masked', { mountinfo: proc }, container, undefined],
  ['the capability is missing', { selfStatus: 'CapEff:\t000001ffffdfffff\n' }, container, undefined],
  [
    'the mount below is shared',
    { mountinfo: proc.replace(' - ', ' shared:12 - ') },
    container,
    /kcore was left as it is, because what is mounted there is shared with other mount namespaces/,
  ],
  [
    'the mounts are those of the node',
    {},
    { ...container, pid: 'pid:[4026531836]' },
    /because the agent runs in the mount namespace of the node itself; unmount it on the node/,
  ],
  [
    'the first process cannot be looked at',
    {},
    { ...container, pid: 'pid:[4026531836]', mountOfFirst: undefined },
    /of the node itself/,
  ],
  ['the namespaces cannot be told', {}, { ...container, pid: undefined }, /cannot be told/],
])('nothing is unmounted when %s', async (_, changes, namespaces, why) => {
  umountIs(takesAway());
  const text = changes.mountinfo ?? proc;
  const mountinfo = why === undefined && changes.selfStatus === undefined ? text : text + mask(30, 22, 'kcore');
  const stays = await unmasked({ ...changes, mountinfo }, namespaces);
  if (why === undefined) expect(stays).toBeUndefined();
  else expect(stays).toMatch(why);
  expect(calls()).toEqual([]);
});

test('with the PID namespace of the node, but a mount namespace of its own, it is unmounted', async () => {
  umountIs(takesAway());
  const namespaces = { ...container, pid: 'pid:[4026531836]', mountOfFirst: 'mnt:[4026531841]' };
  expect(await unmasked({ mountinfo: proc + mask(30, 22, 'kcore') }, namespaces)).toBeUndefined();
  expect(calls()).toEqual([mountinfo('kcore')]);
});

test('a umount that is forbidden: why, and what to look for', async () => {
  umountIs(`echo "umount: can't unmount $1: Operation not permitted" >&2; exit 1`);
  const stays = await unmasked({ mountinfo: proc + mask(30, 22, 'kcore') });
  expect(stays).toMatch(/^umount \S+kcore failed \(exit code 1: umount: can't unmount .*: Operation not permitted\); /);
  expect(stays).toMatch(/AppArmor or seccomp profile that forbids umount, or run the agent with privileged: true$/);
  expect(logged).toMatchObject([{ level: 40, problems: [stays] }]);
});

test('a umount that changes nothing is not tried for ever', async () => {
  umountIs(`echo "$1" >> ${dir}/calls`);
  expect(await unmasked({ mountinfo: proc + mask(30, 22, 'kcore') })).toMatch(/kcore is still masked/);
  expect(calls()).toHaveLength(8);
});

/** Namespaces as a container has them, if they can be made here. */
const isolated = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--mount-proc'];
const isolates = spawnSync('env', [...isolated, 'true']).status === 0;

test.skipIf(!isolates)('a real mask is taken away in the own mount namespace', () => {
  const system = makeSystemTree(join(dir, 'real'));
  const program = join(import.meta.dirname, '../testing/unmask-process.ts');
  const script = `mount --bind /dev/null "$1" && mount --bind /dev/null "$1" && "$2" "$3" "$4" && grep -c " $1 " /proc/self/mountinfo`;
  const mountAndRun = [script, 'sh', system.kcore, process.execPath, program, JSON.stringify(system)];
  const told = spawnSync('env', [...isolated, 'sh', '-c', ...mountAndRun], {
    encoding: 'utf8',
  });
  expect(told.stdout).toBe('null0\n');
  expect(told.stderr.match(/unmasked in the mount namespace of the agent/g)).toHaveLength(2);
  execFileSync('test', ['-f', system.kcore]);
});
