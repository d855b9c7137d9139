import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SymbolFile } from './known-files.ts';
import type { KernelIdentity } from './symbols.ts';

const maxFiles = 2000;

/** The regular files and links directly in a directory, likely ones for this kernel first; or why it cannot be listed. */
export async function listFiles(
  directory: string,
  kernel: KernelIdentity,
): Promise<{ readonly paths: readonly string[] } | { readonly problem: string }> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map((entry) => entry.name);
    if (names.length > maxFiles) {
      return { problem: `holds ${names.length} files, more than the ${maxFiles} that are searched` };
    }
    names.sort((a, b) => Number(isNamedFor(b, kernel)) - Number(isNamedFor(a, kernel)) || a.localeCompare(b));
    return { paths: names.map((name) => join(directory, name)) };
  } catch (error) {
    return { problem: `cannot be listed (${error instanceof Error ? error.message : String(error)})` };
  }
}

/** Whether a file's name says that it belongs to this kernel. */
function isNamedFor(path: string, kernel: KernelIdentity): boolean {
  return [kernel.buildId, kernel.release].some((part) => part.length >= 6 && path.includes(part));
}

/** How a file answers the question for a kernel's symbols. */
export type Answer =
  | { readonly kind: 'isf'; readonly sha256: string }
  | { readonly kind: 'elf' }
  /** Says by its name or its release that it is this kernel's, but carries another banner or build-id. */
  | { readonly kind: 'mismatch'; readonly detail: string }
  | { readonly kind: 'rejected'; readonly detail: string }
  /** Another kernel's; the text says which. */
  | { readonly kind: 'other'; readonly what: string }
  | { readonly kind: 'nothing' };

/** Judges what a file is for this kernel. */
export function judge(path: string, file: SymbolFile, kernel: KernelIdentity): Answer {
  switch (file.kind) {
    case 'isf': {
      if (file.banner === kernel.banner) return { kind: 'isf', sha256: file.sha256 };
      if (isNamedFor(path, kernel) || releaseOf(file.banner) === kernel.release) {
        const detail = `${path} is of another build of the kernel: its banner is "${file.banner}", the node's is "${kernel.banner}"`;
        return { kind: 'mismatch', detail };
      }
      return { kind: 'other', what: `an ISF of "${file.banner}"` };
    }
    case 'elf': {
      if (file.buildId !== undefined && file.buildId === kernel.buildId) return { kind: 'elf' };
      const what =
        file.buildId === undefined ? 'an ELF file without build-id' : `an ELF file of build-id ${file.buildId}`;
      if (!isNamedFor(path, kernel)) return { kind: 'other', what };
      return { kind: 'mismatch', detail: `${path} is ${what}, the node's kernel has ${kernel.buildId || 'none'}` };
    }
    case 'unusable':
      return { kind: 'rejected', detail: `${path} ${file.problem}` };
    case 'other':
      return { kind: 'nothing' };
  }
}

function releaseOf(banner: string): string | undefined {
  return /^Linux version (\S+)/.exec(banner)?.[1];
}
