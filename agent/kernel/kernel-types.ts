import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { causeChain } from '@kcorder/proto/fault.ts';
import type { SystemPaths } from '../system.ts';
import { capabilities, hasCapability } from './capability.ts';
import { readText } from './read.ts';
import { readSymbolList } from './symbol-list.ts';

/** What the kernel tells of its own types and symbols, or why it cannot be sent: see KernelDescriptor.types_digest. */
export interface KernelTypes {
  /** Lower-case hex; empty when there is nothing to send. */
  readonly typesDigest: string;
  readonly typesProblem: string;
}

/** A piece of what SendKernelTypes brings. */
export type TypesPiece = { readonly case: 'btf' | 'kallsyms'; readonly value: Buffer };

/** Small, and used again and again: an agent that has sent its types must be no larger for it. */
const chunkBytes = 1 << 15;
/** Where the kernel's image can be moved to (RANDOMIZE_BASE_MAX_OFFSET, arch/x86/Kconfig). */
const offsetLimit = 0x4000_0000;

/** Digest of what `readTypes` would bring, or the reason why it would bring nothing of use. Takes some 100 ms. */
export function describeTypes(system: SystemPaths, vmcoreinfo: string): KernelTypes {
  const problem = (typesProblem: string): KernelTypes => ({ typesDigest: '', typesProblem });
  if (system.architecture !== 'x86_64') return problem(`nothing is sent from ${system.architecture} nodes`);
  const kernelOffset = kernelOffsetOf(vmcoreinfo);
  if (kernelOffset === undefined) {
    return problem('the offset of the kernel is not known, because /proc/kcore shows no VMCOREINFO');
  }
  const [btf, kallsyms] = [createHash('sha256'), createHash('sha256')];
  try {
    for (const chunk of readChunks(system.btf)) btf.update(chunk);
  } catch (error) {
    return problem(
      `${system.btf} cannot be read (${reason(error)}): the kernel was built without CONFIG_DEBUG_INFO_BTF`,
    );
  }
  try {
    const list = readSymbolList(system.kallsyms, kernelOffset);
    let step = list.next();
    for (; step.done !== true; step = list.next()) kallsyms.update(step.value);
    if (step.value.hidden) {
      return problem(`${system.kallsyms} shows no addresses: ${whyHidden(readText(system.selfStatus) ?? '')}`);
    }
  } catch (error) {
    return problem(`${system.kallsyms} cannot be read (${reason(error)})`);
  }
  const typesDigest = createHash('sha256').update(btf.digest()).update(kallsyms.digest()).digest('hex');
  return { typesDigest, typesProblem: '' };
}

/** The kernel's BTF, then its symbol list, in pieces of at most 32 KiB, each of which holds until the next one is asked for. Throws errors of the file system. */
export function* readTypes(system: SystemPaths, vmcoreinfo: string): Generator<TypesPiece> {
  for (const value of readChunks(system.btf)) yield { case: 'btf', value };
  for (const value of readSymbolList(system.kallsyms, kernelOffsetOf(vmcoreinfo) ?? 0))
    yield { case: 'kallsyms', value };
}

function kernelOffsetOf(vmcoreinfo: string): number | undefined {
  const offset = Number.parseInt(/^KERNELOFFSET=([0-9a-f]+)$/m.exec(vmcoreinfo)?.[1] ?? '', 16);
  return offset < offsetLimit ? offset : undefined;
}

function* readChunks(path: string): Generator<Buffer> {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(chunkBytes);
    for (let filled = 0; ; ) {
      const count = readSync(fd, buffer, filled, chunkBytes - filled, null);
      filled += count;
      if (count > 0 && filled < chunkBytes) continue;
      if (filled > 0) yield buffer.subarray(0, filled);
      if (count === 0) return;
      filled = 0;
    }
  } finally {
    closeSync(fd);
  }
}

/** The kernel's own rule: kallsyms_show_value in kernel/kallsyms.c. */
function whyHidden(status: string): string {
  return hasCapability(status, capabilities.syslog)
    ? 'the agent has CAP_SYSLOG, so kernel.kptr_restrict must be 2; set it to 1 or 0'
    : "the agent lacks CAP_SYSLOG; grant it in the container's securityContext.capabilities";
}

const reason = (error: unknown): string => causeChain(error)[0] ?? '';
