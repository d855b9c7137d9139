import { findProgram } from './environment.ts';
import { installPackages } from './host-packages.ts';

/** What compiles the programs of the symbol tests; nothing else needs it, so `./dev setup` does not bring it. */
const compilerPackages = [
  { package: 'clang', sign: 'clang' },
  { package: 'lld', sign: 'ld.lld' },
  { package: 'dwz', sign: 'dwz' },
  { package: 'gcc', sign: 'gcc' },
  { package: 'binutils', sign: 'objcopy' },
  { package: 'libc6-dev', sign: 'gcc' },
] as const;

/** Installs clang, lld, dwz and gcc on this machine where they are missing (about 600 MB). */
export async function ensureCompilers(): Promise<void> {
  const missing = compilerPackages.filter(({ sign }) => !findProgram(sign)).map((entry) => entry.package);
  if (missing.length > 0) await installPackages(missing);
}
