import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PreflightReason as Reason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { expect, test } from 'vitest';
import { makeSystemTree, type TreeChanges } from '../testing/system-tree.ts';
import { checkKcoreDenial } from './denial.ts';
import { checkSystem } from './preflight.ts';

const recorded = join(import.meta.dirname, '../testing/nodes/debian-6.1');
const record = (name: string): Buffer => readFileSync(join(recorded, name));
const mask = '30 22 0:5 /null /proc/kcore rw,nosuid - devtmpfs devtmpfs rw\n';
const status = (capabilities: string): string => `Name:\tnode\nCapEff:\t${capabilities}\n`;

test.each<[string, TreeChanges, number[], RegExp]>([
  ['nothing stands in the way', {}, [], /^$/],
  [
    'a recorded Debian node',
    { kcore: record('kcore'), iomem: record('iomem'), mountinfo: record('mountinfo'), selfStatus: record('status') },
    [],
    /^$/,
  ],
  ['the kernel has no kcore', { kcore: null }, [Reason.NO_KCORE], /CONFIG_PROC_KCORE/],
  [
    'something is mounted over kcore',
    { mountinfo: mask },
    [Reason.KCORE_MASKED],
    /devtmpfs devtmpfs is mounted over it/,
  ],
  [
    'it is masked, and there is nothing to unmount',
    { kcore: '' },
    [Reason.KCORE_MASKED],
    /it is empty; there is nothing to unmount; run the agent with privileged: true$/,
  ],
  [
    'it is masked, and the agent may not unmask it',
    { mountinfo: mask, selfStatus: status('0000000000020000') },
    [Reason.NO_CAPABILITY, Reason.KCORE_MASKED],
    /lacks CAP_SYS_ADMIN \(to unmask \/proc\/kcore and to see/,
  ],
  ['kcore is empty', { kcore: '' }, [Reason.KCORE_MASKED], /it is empty/],
  [
    'kcore is something else',
    { kcore: 'not what it should be' },
    [Reason.KCORE_MASKED],
    /does not start as an ELF file/,
  ],
  [
    'no capability at all',
    { selfStatus: status('0000000000000000') },
    [Reason.NO_CAPABILITY],
    /CAP_SYS_RAWIO .* and CAP_SYS_ADMIN/,
  ],
  ['no CAP_SYS_RAWIO', { selfStatus: status('000001fffffdffff') }, [Reason.NO_CAPABILITY], /lacks CAP_SYS_RAWIO \(/],
  ['no CAP_SYS_ADMIN', { selfStatus: status('000001ffffdfffff') }, [Reason.NO_CAPABILITY], /lacks CAP_SYS_ADMIN \(/],
  ['a user namespace of its own', { uidMap: '0 100000 65536\n' }, [Reason.NO_CAPABILITY], /hostUsers/],
  [
    'lockdown=confidentiality',
    { lockdown: 'none integrity [confidentiality]\n' },
    [Reason.LOCKDOWN],
    /lockdown=integrity or none/,
  ],
  ['lockdown=integrity is fine', { lockdown: 'none [integrity] confidentiality\n' }, [], /^$/],
  ['lockdown cannot be told, kcore can be read', { lockdown: null }, [], /^$/],
  ['iomem is hidden', { iomem: '00000000-00000000 : System RAM\n' }, [Reason.IOMEM_HIDDEN], /CAP_SYS_ADMIN/],
  ['iomem is gone', { iomem: null }, [Reason.IOMEM_HIDDEN], /cannot be read/],
  ['an arm64 node', { architecture: 'aarch64' }, [Reason.UNSUPPORTED_ARCHITECTURE], /aarch64; only x86_64/],
  [
    'several at once are each named',
    { kcore: null, iomem: null, architecture: 'aarch64', lockdown: 'none integrity [confidentiality]' },
    [Reason.UNSUPPORTED_ARCHITECTURE, Reason.LOCKDOWN, Reason.NO_KCORE, Reason.IOMEM_HIDDEN],
    /aarch64/,
  ],
])('preflight: %s', (_, changes, reasons, message) => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-preflight-'));
  const refusals = checkSystem(makeSystemTree(dir, changes));
  expect(refusals.map(({ reason }) => reason)).toEqual(reasons);
  expect(refusals[0]?.message ?? '').toMatch(message);
  rmSync(dir, { recursive: true });
});

test('why a mask stays is part of the refusal, and without the capability it is named', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-preflight-'));
  const message = (changes: TreeChanges, maskStays?: string) =>
    checkSystem(makeSystemTree(mkdtempSync(join(dir, 'tree-')), { mountinfo: mask, ...changes }), maskStays).at(-1)
      ?.message;
  expect(message({}, 'umount failed; look for AppArmor')).toBe(
    'the container runtime hides /proc/kcore: devtmpfs devtmpfs is mounted over it; umount failed; look for AppArmor',
  );
  expect(message({ selfStatus: status('0000000000020000') })).toMatch(
    /mounted over it; run the agent with CAP_SYS_ADMIN so that it can unmask it, or privileged: true$/,
  );
  rmSync(dir, { recursive: true });
});

test('kcore is a character device: the mask that runtimes put there', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-preflight-'));
  const system = makeSystemTree(dir, { kcore: null });
  symlinkSync('/dev/null', system.kcore);
  expect(checkSystem(system)).toMatchObject([{ reason: Reason.KCORE_MASKED }]);
  rmSync(dir, { recursive: true });
});

test.each<[string, Parameters<typeof checkKcoreDenial>, number | undefined, RegExp]>([
  ['EPERM without a capability is not told twice', ['EPERM', 'unknown', true], undefined, /^$/],
  ['EPERM in confidentiality is not told twice', ['EPERM', 'confidentiality', false], undefined, /^$/],
  ['EPERM, lockdown unknown', ['EPERM', 'unknown', false], Reason.LOCKDOWN, /probably lockdown=confidentiality/],
  ['EPERM, lockdown known to be none', ['EPERM', 'none', false], Reason.NO_CAPABILITY, /security module/],
  ['EACCES, lockdown unknown', ['EACCES', 'unknown', false], Reason.NO_CAPABILITY, /as root/],
])('kcore denied: %s', (_, [errno, lockdown, lacksCapability], reason, message) => {
  const refusal = checkKcoreDenial(errno, lockdown, lacksCapability);
  expect(refusal?.reason).toBe(reason);
  expect(refusal?.message ?? '').toMatch(message);
});
