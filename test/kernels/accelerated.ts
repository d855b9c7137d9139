import { join } from 'node:path';
import { analyzeAgain, type ReplayedNode } from './replay.ts';

/** Plugins that go through every acceleration, and take stock Volatility less than half a minute together. */
export const acceleratedPlugins: readonly string[] = [
  ...['processes', 'sockets', 'hiddenModules', 'linux.lsmod.Lsmod', 'linux.pslist.PsList', 'linux.lsof.Lsof'],
  ...['linux.sockstat.Sockstat', 'linux.library_list.LibraryList', 'linux.malware.check_syscall.Check_syscall'],
  ...['linux.malware.check_idt.Check_idt', 'linux.malware.modxview.Modxview', 'linux.malware.tty_check.Tty_Check'],
  ...['linux.pscallstack.PsCallStack', 'linux.mountinfo.MountInfo', 'linux.tracing.ftrace.CheckFtrace'],
];

/** Names of the plugins whose state, reason, warnings or rows are not the same, byte for byte, with and without accelerations. */
export async function differingAccelerated(
  node: Pick<ReplayedNode, 'job'>,
  isfPath: string,
  dir: string,
  plugins: readonly string[],
): Promise<string[]> {
  const analyze = (accelerated: boolean) =>
    analyzeAgain(node, isfPath, join(dir, `accelerated-${accelerated}`), { plugins, accelerated });
  const [one, other] = [await analyze(true), await analyze(false)];
  const text = (rows: ReadonlyMap<string, unknown>, plugin: string): string => JSON.stringify(rows.get(plugin)) ?? '';
  return plugins.filter((plugin) => text(one.rows, plugin) !== text(other.rows, plugin));
}
