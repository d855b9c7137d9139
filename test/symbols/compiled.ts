import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command } from '../../tools/setup/command.ts';
import { ensureCompilers } from '../../tools/setup/compilers.ts';

const sources = join(import.meta.dirname, 'programs');
const link = ['-nostdlib', '-static', '-Wl,-e,main', '-w'];

const versions = ['gcc', 'clang'].flatMap((compiler) =>
  ['2', '3', '4', '5'].flatMap((version) => [
    `${compiler} -gdwarf-${version} -O0`,
    `${compiler} -gdwarf-${version} -O1`,
  ]),
);

/** Command lines whose programs dwarf2json reads well; what is after `|` is done to the program then. */
export const lines: readonly string[] = [
  ...versions,
  'gcc -gdwarf-4 -gdwarf64',
  'gcc -gdwarf-5 -gdwarf64 -O1',
  'gcc -g -gz=zlib',
  'gcc -gdwarf-4 -gz=zlib-gnu',
  'clang -g -gz=zlib',
  // neither gcc 12 nor clang 14 write zstd themselves
  'gcc -g | objcopy --compress-debug-sections=zstd',
  'clang -gdwarf-4 -fdebug-types-section',
  'gcc -g -flto -O2',
  'clang -g -flto -fuse-ld=lld -O2',
  'clang -g -flto=thin -fuse-ld=lld -O2',
  'gcc -gdwarf-4 | dwz',
  'gcc -gdwarf-5 | dwz',
  'clang -gdwarf-4 | dwz',
  'gcc -g -fPIE -Wl,-pie',
  'gcc -g | objcopy --only-keep-debug',
  'clang --target=aarch64-linux-gnu -fuse-ld=lld -gdwarf-4',
  'clang --target=aarch64-linux-gnu -fuse-ld=lld -gdwarf-5 -O1',
];

/** Where dwarf2json fails or is known to be wrong: why, and the same program compiled otherwise, which it reads well. */
export const knownFaults = [
  {
    line: 'clang -gdwarf-5 -gdwarf64',
    plain: 'clang -gdwarf-5',
    why: 'debug/dwarf reads the indexes of strings in 64-bit DWARF at the wrong place and ends with "underflow"',
    sections: ['base_types', 'user_types', 'enums', 'symbols'],
  },
  {
    line: 'gcc -gdwarf-4 -fdebug-types-section',
    plain: 'gcc -gdwarf-4',
    why: 'debug/dwarf finds only the first type unit of a linked file, and dwarf2json lists none of their types',
    sections: ['base_types', 'user_types'],
  },
  {
    line: 'gcc -gdwarf-5 -fdebug-types-section',
    plain: 'gcc -gdwarf-5',
    why: 'debug/dwarf looks for type units in .debug_types only, where DWARF 5 has none',
    sections: ['base_types', 'user_types'],
  },
] as const;

/** A folder for compiled programs, with the compilers that make them. */
export class Workshop implements Disposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Workshop> {
    await ensureCompilers();
    const folder = mkdtempSync(join(tmpdir(), 'kcorder-programs-'));
    cpSync(sources, folder, { recursive: true });
    return new Workshop(folder);
  }

  /** The programs that make them, each with its version. */
  async tools(): Promise<string[]> {
    const names = ['gcc', 'clang', 'ld', 'ld.lld', 'objcopy', 'dwz'];
    return await Promise.all(names.map(async (name) => firstLine(await command(name, ['--version']))));
  }

  /** Compiles the program by a command line and returns its path. The same compilers make the same program anywhere. */
  async compile(line: string): Promise<string> {
    const [compiler = '', ...steps] = line.split(' | ');
    const path = join(this.folder, line.replace(/[^\w.=-]+/g, '_'));
    const [program = '', ...options] = compiler.split(' ');
    // Otherwise names of symbols are made of random numbers, and of the names of temporary files.
    const fixed = program === 'gcc' ? '-frandom-seed=1' : '-save-temps';
    const words = [...options, fixed, `-ffile-prefix-map=${this.folder}=.`, 'types.c', 'more.c', ...link, '-o', path];
    await command(program, words, { cwd: this.folder });
    for (const step of steps) {
      const [tool = '', ...rest] = step.split(' ');
      await command(tool, [...rest, path], { cwd: this.folder });
    }
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';
