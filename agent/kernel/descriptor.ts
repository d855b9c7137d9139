import type { SystemPaths } from '../system.ts';
import { buildIdOfVmcoreinfo, parseBuildId } from './build-id.ts';
import { parseIomem, type RamRange } from './iomem.ts';
import { describeTypes, type KernelTypes } from './kernel-types.ts';
import { parseLockdown } from './lockdown.ts';
import { cosBuildId } from './os-release.ts';
import { readBytes, readText, withFile } from './read.ts';
import { readVmcoreinfo } from './vmcoreinfo.ts';

/** What the node's kernel says of itself: the message KernelDescriptor. What cannot be read is empty; preflight says why. */
export interface KernelDescription extends KernelTypes {
  readonly release: string;
  readonly banner: string;
  readonly buildId: string;
  readonly vmcoreinfo: string;
  readonly architecture: string;
  readonly cosBuildId: string;
  readonly bootId: string;
  readonly machineId: string;
  readonly lockdown: string;
  readonly ramRanges: RamRange[];
}

/** Reads the description once, when the agent starts: nothing in it changes before the next boot. */
export function describeKernel(system: SystemPaths): KernelDescription {
  const vmcoreinfo = withFile(system.kcore, readVmcoreinfo) ?? '';
  const lockdown = parseLockdown(readText(system.lockdown) ?? '');
  return {
    release: (readText(system.release) ?? '').trim(),
    banner: (readText(system.banner) ?? '').replace(/\n+$/, ''),
    buildId: parseBuildId(readBytes(system.kernelNotes) ?? Buffer.alloc(0)) || buildIdOfVmcoreinfo(vmcoreinfo),
    vmcoreinfo,
    architecture: system.architecture,
    cosBuildId: cosBuildId(readText(system.osRelease) ?? ''),
    bootId: (readText(system.bootId) ?? '').trim(),
    machineId: (readText(system.machineId) ?? '').trim(),
    lockdown: lockdown === 'unknown' ? '' : lockdown,
    ramRanges: parseIomem(readText(system.iomem) ?? '').ranges,
    ...describeTypes(system, vmcoreinfo),
  };
}
