import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPlugins, profiles } from '../../collector/analysis/profiles.ts';
import { buildIsf } from '../../collector/symbols/build/builder.ts';
import { confineBy } from '../../collector/symbols/confine.ts';
import { Btf } from '../../isf/btf/btf.ts';
import { unresolvedGlobals } from '../../isf/testing/unresolved-globals.ts';
import { peerPlugins } from '../../tools/bench/analysis/profiles.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux, hasVmlinux } from '../../tools/setup/vmlinux.ts';
import { kcorder } from '../../tools/stage/command-line.ts';
import { btfOfImage } from '../symbols/kernel-image.ts';
import { acceleratedPlugins, differingAccelerated } from './accelerated.ts';
import { disagreements } from './drgn/agreement.ts';
import { type ListedProcess, type Recall, recallOf } from './recall.ts';
import { type KernelNode, readRecording, record } from './record.ts';
import { type Analyzed, analyzeAgain, type ReplayedNode, replay } from './replay.ts';
import { failedUnlessSmeared } from './smeared.ts';

/** How the product fared on one kernel. */
export interface KernelProof {
  readonly release: string;
  readonly recall: Recall;
  /** Exit code of `kcorder ps`. */
  readonly exitCode: number;
  /** Plugins of the largest profile that ended neither with rows nor as empty or unsupported: name, state and reason. */
  readonly failed: readonly string[];
  /** Plugins that this kernel lacks something for: name and reason. */
  readonly unsupported: readonly string[];
  /** Plugins whose rows differ between symbols of the vmlinux and those of the node's BTF; undefined where Debian has no -dbg. */
  readonly differing: readonly string[] | undefined;
  /** Threads, modules and mounts that drgn and ours do not agree on; undefined where Debian has no -dbg. */
  readonly disagreements: readonly string[] | undefined;
  /** Plugins whose rows are not the same with and without accelerations. */
  readonly accelerated: readonly string[];
  /** Variables that the kernel has and whose types its BTF does not give. */
  readonly untyped: readonly string[];
}

/** Boots a node and captures it whatever was recorded before, and compares what the product tells of it with what the node's own kernel told. */
export async function proveKernel(dir: string, options: KernelNode): Promise<KernelProof> {
  await record(join(dir, 'recording'), options);
  const recording = readRecording(join(dir, 'recording'));
  await using node = await replay(recording);
  const { exitCode, stdout, stderr } = await kcorder(node.rig.context, ['ps', node.name, '-o', 'json']);
  if (stdout === '') throw new Error(`kcorder ps printed nothing: ${stderr}`);
  const { processes } = JSON.parse(stdout) as { processes: ListedProcess[] };
  const plugins = [...profiles.deep, 'linux.kallsyms.Kallsyms'];
  const btf = await analyzeAgain(node, node.btfPath, join(dir, 'btf'), { plugins });
  const dwarf = await withDwarf(node, options.kernel, dir);
  return {
    release: node.release,
    recall: recallOf(recording.lived, processes),
    exitCode,
    failed: failedUnlessSmeared(btf.report.plugins).map(({ name, reason }) => `${name}: ${reason}`),
    unsupported: btf.report.plugins
      .filter(({ state }) => state === 'unsupported')
      .map(({ name, reason }) => `${name}: ${reason}`),
    differing: dwarf && differingPlugins(btf, dwarf),
    disagreements: await disagreementsOn(node, options.kernel, dir),
    accelerated: await differingAccelerated(node, node.btfPath, dir, [
      ...new Set([...acceleratedPlugins, ...peerPlugins]),
    ]),
    untyped: await untypedGlobals(node, options.kernel),
  };
}

/** What drgn and ours do not agree on, with the kernel's own vmlinux; undefined where Debian offers no -dbg. */
export async function disagreementsOn(
  node: ReplayedNode,
  series: string,
  dir: string,
): Promise<readonly string[] | undefined> {
  const kernel = await ensureKernel(series);
  if (!(await hasVmlinux(kernel))) return undefined;
  return await disagreements(node, node.btfPath, await ensureVmlinux(kernel), dir);
}

/** The names of the plugins whose state, warnings or rows differ between two analyses of one image. */
export function differingPlugins(one: Analyzed, other: Analyzed): string[] {
  const text = ({ rows }: Analyzed, plugin: string): string | undefined => JSON.stringify(rows.get(plugin));
  return defaultPlugins.filter((plugin) => text(one, plugin) !== text(other, plugin));
}

/** Builds the ISF of the kernel's vmlinux and returns its path; undefined where Debian offers no -dbg. */
export async function isfOfVmlinux(node: ReplayedNode, series: string, dir: string): Promise<string | undefined> {
  const kernel = await ensureKernel(series);
  if (!(await hasVmlinux(kernel))) return undefined;
  const path = join(dir, 'dwarf.json');
  if (existsSync(path)) return path;
  const names = { banner: node.banner, release: node.release };
  const vmlinux = { kind: 'elf', path: await ensureVmlinux(kernel) } as const;
  const built = await buildIsf(vmlinux, names, path, confineBy('python3'), new AbortController().signal);
  if (built.kind !== 'built') throw new Error(`no ISF of the vmlinux of ${kernel.release}: ${JSON.stringify(built)}`);
  return path;
}

/** Names of known variables that the kernel has and whose types do not resolve in its BTF. */
export async function untypedGlobals({ release, btfPath }: ReplayedNode, series: string): Promise<readonly string[]> {
  const { vmlinuzPath } = await ensureKernel(series);
  const { symbols } = JSON.parse(readFileSync(btfPath, 'utf8')) as { symbols: Record<string, unknown> };
  return unresolvedGlobals(new Btf(btfOfImage(readFileSync(vmlinuzPath))), release, Object.keys(symbols));
}

async function withDwarf(node: ReplayedNode, series: string, dir: string): Promise<Analyzed | undefined> {
  const path = await isfOfVmlinux(node, series, dir);
  return path === undefined ? undefined : await analyzeAgain(node, path, join(dir, 'dwarf'));
}
