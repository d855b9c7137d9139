import { buildSymbols, findBuilt } from './build.ts';
import { SymbolCache } from './cache.ts';
import { type Answer, judge, listFiles } from './directory.ts';
import { KnownFiles } from './known-files.ts';
import { SingleFlight } from './single-flight.ts';
import type { KernelIdentity, SymbolBuilder, Symbols, SymbolsState } from './symbols.ts';

/** Where symbols are kept, looked for and made. */
export interface SymbolSources {
  /** Built ISFs; made when it is not there. */
  readonly cacheDir: string;
  /** Directories with ISF or vmlinux files, searched in order, not below them. */
  readonly directories: readonly string[];
  readonly builder: SymbolBuilder;
}

const maxLooked = 50;

/**
 * Finds symbols in this order: what was built before; an ISF in a directory whose banner is the node's; an ELF file in a directory with the
 * node's build-id, from which an ISF is built. Directories are read anew at each call.
 */
export function createSymbols(sources: SymbolSources): Symbols {
  const cache = new SymbolCache(sources.cacheDir);
  const files = new KnownFiles();
  const builds = new SingleFlight<SymbolsState>();
  let opened: Promise<void> | undefined;

  const openCache = async () => {
    opened ??= cache.open();
    try {
      await opened;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };

  return {
    async find(kernel, signal) {
      signal.throwIfAborted();
      if (kernel.architecture !== 'x86_64') return { kind: 'unsupported', architecture: kernel.architecture };
      await openCache();
      const built = await findBuilt(cache, kernel);
      if (built?.kind === 'ready') return built;
      const search = await searchDirectories(sources.directories, kernel, files, signal);
      if (search.ready !== undefined) return search.ready;
      if (built !== undefined) return built;
      const elf = search.elfPaths[0];
      if (elf === undefined) return nothingFits(search, sources, kernel);
      return builds.run(
        `${elf} ${kernel.buildId} ${kernel.banner}`,
        (shared) => buildSymbols(elf, kernel, cache, sources.builder, shared),
        signal,
      );
    },
  };
}

interface Search {
  readonly ready?: SymbolsState;
  readonly elfPaths: readonly string[];
  readonly answers: readonly Answer[];
  readonly looked: readonly string[];
}

async function searchDirectories(
  directories: readonly string[],
  kernel: KernelIdentity,
  files: KnownFiles,
  signal: AbortSignal,
): Promise<Search> {
  const elfPaths: string[] = [];
  const answers: Answer[] = [];
  const looked: string[] = [];
  for (const directory of directories) {
    const listed = await listFiles(directory, kernel);
    if ('problem' in listed) {
      looked.push(`${directory} ${listed.problem}`);
      continue;
    }
    looked.push(`${directory}: ${listed.paths.length} files`);
    for (const path of listed.paths) {
      const answer = judge(path, await files.inspect(path, signal), kernel);
      answers.push(answer);
      if (answer.kind === 'isf') {
        return {
          ready: { kind: 'ready', isfPath: path, source: `ISF ${path}`, isfSha256: answer.sha256 },
          elfPaths,
          answers,
          looked,
        };
      }
      if (answer.kind === 'elf') elfPaths.push(path);
      if (answer.kind === 'other') looked.push(`${path} is ${answer.what}`);
    }
  }
  return { elfPaths, answers, looked };
}

function nothingFits(search: Search, sources: SymbolSources, kernel: KernelIdentity): SymbolsState {
  const advice = adviceFor(sources, kernel);
  const mismatch = search.answers.find((answer) => answer.kind === 'mismatch');
  if (mismatch !== undefined) return { kind: 'mismatch', detail: `${mismatch.detail}. ${advice}` };
  const rejected = search.answers.find((answer) => answer.kind === 'rejected');
  if (rejected !== undefined) {
    return { kind: 'rejected', detail: `${rejected.detail}, and nothing else fits the node's kernel. ${advice}` };
  }
  const looked = [`symbol cache ${sources.cacheDir}: nothing of this kernel`, ...search.looked];
  const rest = looked.length - maxLooked;
  return { kind: 'missing', looked: rest > 0 ? [...looked.slice(0, maxLooked), `and ${rest} more`] : looked, advice };
}

function adviceFor(sources: SymbolSources, kernel: KernelIdentity): string {
  const place = sources.directories[0];
  const where = place === undefined ? 'a directory and configure it as a directory of symbols' : place;
  const what = kernel.buildId === '' ? '' : `the vmlinux with debugging information of build-id ${kernel.buildId}, or `;
  return `Put ${what}an ISF whose banner is "${kernel.banner}", into ${where}, then capture again.`;
}
