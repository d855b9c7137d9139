import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { PluginSpec } from '../../../collector/capture/capture.ts';
import { ensureDrgn } from '../../../tools/setup/drgn.ts';
import { type Analyzed, analyzeAgain, type ReplayedNode } from '../replay.ts';
import differences from './differences.json' with { type: 'json' };

/** By plugin: a pattern for the rows that it lacks, and why it may. */
const known: Readonly<Record<string, { readonly lacks: string; readonly why: string }>> = differences;

type Row = readonly unknown[];
type Tables = Readonly<Record<'threads' | 'modules' | 'mounts', readonly Row[]>>;

/** A plugin of ours, and the columns that drgn's table has, in its order. */
interface Compared {
  readonly plugin: PluginSpec;
  readonly table: keyof Tables;
  readonly columns: readonly string[];
  /** Of drgn's rows those that ours should have. */
  readonly only?: (row: Row) => boolean;
}

const isLeader = ([, pid, tid]: Row): boolean => pid === tid;

const compared: readonly Compared[] = [
  {
    plugin: { name: 'processes', arguments: {} },
    ...{ table: 'threads', columns: ['offset', 'pid', 'pid', 'ppid', 'comm'], only: isLeader },
  },
  {
    plugin: { name: 'linux.pslist.PsList', arguments: { threads: 'true' } },
    ...{ table: 'threads', columns: ['OFFSET (V)', 'PID', 'TID', 'PPID', 'COMM'] },
  },
  {
    plugin: { name: 'linux.pidhashtable.PIDHashTable', arguments: {} },
    ...{ table: 'threads', columns: ['OFFSET', 'PID', 'TID', 'PPID', 'COMM'] },
  },
  {
    plugin: { name: 'linux.lsmod.Lsmod', arguments: {} },
    ...{ table: 'modules', columns: ['Offset', 'Module Name', 'Code Size'] },
  },
  {
    plugin: { name: 'linux.mountinfo.MountInfo', arguments: {} },
    table: 'mounts',
    columns: ['MNT_NS_ID', 'MOUNT ID', 'PARENT_ID', 'MAJOR:MINOR', 'MOUNT_POINT', 'FSTYPE', 'MOUNT_SRC'],
  },
];

/**
 * Compares our threads, modules and mounts with those that drgn reads of the same image by the kernel's DWARF. Returns a sentence for each
 * plugin and row that only one of them has, but for what differences.json explains.
 */
export async function disagreements(
  node: Pick<ReplayedNode, 'job' | 'imagePath'>,
  isfPath: string,
  vmlinuxPath: string,
  dir: string,
): Promise<string[]> {
  const drgn = await tablesOfDrgn(node, vmlinuxPath);
  const ours = await analyzeAgain(node, isfPath, join(dir, 'drgn'), { plugins: compared.map(({ plugin }) => plugin) });
  return compared.flatMap((one) => {
    const { name } = one.plugin;
    const theirs = drgn[one.table].filter(one.only ?? (() => true)).map(textOf);
    const mine = rowsOf(ours, one).map(textOf);
    const { lacks } = known[name] ?? {};
    return [
      ...lacking(theirs, mine)
        .filter((row) => lacks === undefined || !new RegExp(lacks).test(row))
        .map((row) => `${name} lacks ${row}`),
      ...lacking(mine, theirs).map((row) => `drgn lacks ${row} of ${name}`),
    ];
  });
}

async function tablesOfDrgn(
  { job, imagePath }: Pick<ReplayedNode, 'job' | 'imagePath'>,
  vmlinuxPath: string,
): Promise<Tables> {
  const script = join(import.meta.dirname, 'tables.py');
  const child = spawn(await ensureDrgn(), ['-B', script, imagePath, vmlinuxPath]);
  child.stdin.end(job.kernel.vmcoreinfo);
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (child.exitCode !== 0) throw new Error(`drgn could not read ${imagePath}: ${errors}`);
  return JSON.parse(out) as Tables;
}

function rowsOf({ report, rows }: Analyzed, { plugin: { name }, columns }: Compared): Row[] {
  const told = report.plugins.find((plugin) => plugin.name === name)?.columns ?? [];
  const places = columns.map((column) => told.indexOf(column));
  const [, ...found] = (rows.get(name) ?? []) as Row[];
  return found.map((row) => places.map((place) => row[place]));
}

/** A row as JSON, with the lower 48 bits of the address in front: Volatility leaves out the sign. */
function textOf([address, ...cells]: Row): string {
  const isAddress = typeof address === 'string';
  return JSON.stringify([isAddress ? BigInt.asUintN(48, BigInt(address)).toString(16) : address, ...cells]);
}

/** The rows of one that the other does not have as often. */
function lacking(one: readonly string[], other: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const row of other) left.set(row, (left.get(row) ?? 0) + 1);
  return one.filter((row) => {
    const times = left.get(row) ?? 0;
    left.set(row, times - 1);
    return times <= 0;
  });
}
