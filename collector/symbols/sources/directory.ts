import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isBannerOf, releaseOf } from '../same-kernel.ts';
import type { KernelIdentity } from '../symbols.ts';
import { KnownFiles, type SymbolFile } from './known-files.ts';
import type { NotFound, SourceAnswer, SymbolSource } from './source.ts';

const maxFiles = 2000;

/**
 * Local directories, searched in order and not below them, each read anew at every call. Files are told by what is in them, never by their names: an ELF file with the
 * kernel's build-id first, since an ISF can be built from it that is surely the kernel's, then an ISF with the kernel's banner.
 */
export function createDirectorySource(directories: readonly string[]): SymbolSource {
  const files = new KnownFiles();
  return {
    seek: (kernel, { signal }) => seek(directories, kernel, files, signal),
  };
}

async function seek(
  directories: readonly string[],
  kernel: KernelIdentity,
  files: KnownFiles,
  signal: AbortSignal,
): Promise<SourceAnswer> {
  const looked: string[] = [];
  let isf: SourceAnswer | undefined;
  let [mismatch, rejected]: (string | undefined)[] = [];
  for (const directory of directories) {
    const listed = await listFiles(directory, kernel);
    if ('problem' in listed) {
      looked.push(`${directory} ${listed.problem}`);
      continue;
    }
    looked.push(`${directory}: ${listed.paths.length} files`);
    for (const path of listed.paths) {
      const { file, stamp } = await files.inspect(path, signal);
      const answer = judge(path, file, kernel);
      if (answer.kind === 'elf') return { kind: 'elf', path, from: path };
      if (answer.kind === 'isf') isf ??= { kind: 'isf', path, from: `ISF ${path}`, origin: `${path} ${stamp}` };
      if (answer.kind === 'mismatch') mismatch ??= answer.detail;
      if (answer.kind === 'rejected') rejected ??= answer.detail;
      if (answer.kind === 'other') looked.push(`${path} is ${answer.what}`);
    }
  }
  if (isf !== undefined) return isf;
  const nothing: NotFound = { kind: 'nothing', looked };
  return {
    ...nothing,
    ...(mismatch === undefined ? {} : { mismatch }),
    ...(rejected === undefined ? {} : { rejected }),
  };
}

/** The regular files and links directly in a directory, likely ones for this kernel first; or why it cannot be listed. */
async function listFiles(
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
type Answer =
  | { readonly kind: 'isf' }
  | { readonly kind: 'elf' }
  /** Says by its name or its release that it is this kernel's, but carries another banner or build-id. */
  | { readonly kind: 'mismatch'; readonly detail: string }
  | { readonly kind: 'rejected'; readonly detail: string }
  /** Another kernel's; the text says which. */
  | { readonly kind: 'other'; readonly what: string }
  | { readonly kind: 'nothing' };

function judge(path: string, file: SymbolFile, kernel: KernelIdentity): Answer {
  switch (file.kind) {
    case 'isf': {
      if (isBannerOf(file.banner, kernel.banner)) return { kind: 'isf' };
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
