import type { Command } from 'commander';
import type { BuildInput } from '../commands/symbols-build.ts';
import { address, examples, filled, plainFile, timeSpan } from './arguments.ts';
import { type Runs, StrictCommand } from './session-command.ts';

const defaultTimeout = '15m';
const kernel = "a node's name, a release, a build-id or its beginning, or a key";

/** `kcorder symbols`: what analyses read images with. */
export function addSymbols(program: Command, runs: Runs): void {
  const symbols = program.command('symbols').description("Look after the symbols of the nodes' kernels.");
  addQueries(symbols, runs);
  addKeeping(symbols, runs);
  addFiles(symbols, runs);
  addBuild(symbols, runs);
}

function addQueries(symbols: Command, { inSession }: Runs): void {
  symbols
    .command('get')
    .alias('list')
    .description('List kernels and their symbols, or show one with every source and what to do next.')
    .argument('[kernel|node]', kernel, filled)
    .addHelpText(
      'after',
      examples('kcorder symbols get', 'kcorder symbols get node-1', 'kcorder symbols get 4f1c9a -o json'),
    )
    .action((word: string | undefined) =>
      inSession(async (session) => {
        const { symbolsGet } = await import('../commands/symbols-get.ts');
        return symbolsGet(session, word);
      }),
    );
  symbols
    .command('find')
    .description("Look for the symbols of a node's kernel now, forgetting what is remembered of earlier failures.")
    .argument('<node>', 'name of the node', filled)
    .option('--timeout <time>', `longest time to wait (default ${defaultTimeout})`, timeSpan)
    .addHelpText('after', examples('kcorder symbols find node-1', 'kcorder symbols find node-1 --timeout 1h'))
    .action((node: string, options: { timeout?: number }) =>
      inSession(async (session) => {
        const { symbolsFind } = await import('../commands/symbols-find.ts');
        return symbolsFind(session, node, options.timeout ?? timeSpan(defaultTimeout));
      }),
    );
}

function addKeeping(symbols: Command, { inSession }: Runs): void {
  const pins = [
    ['pin', 'Never evict the symbols of a kernel.', true],
    ['unpin', 'Let the symbols of a kernel be evicted when room is needed.', false],
  ] as const;
  for (const [name, description, pinned] of pins) {
    symbols
      .command(name)
      .description(description)
      .argument('<kernel>', kernel, filled)
      .addHelpText('after', examples(`kcorder symbols ${name} 6.1.0-56-cloud-amd64`, `kcorder symbols ${name} 4f1c9a`))
      .action((word: string) =>
        inSession(async (session) => {
          const { symbolsPin } = await import('../commands/symbols-keep.ts');
          return symbolsPin(session, word, pinned);
        }),
      );
  }
  symbols
    .command('delete')
    .description('Delete the symbols that are kept of a kernel.')
    .argument('<kernel>', kernel, filled)
    .addHelpText('after', examples('kcorder symbols delete 6.1.0-56-cloud-amd64', 'kcorder symbols delete 4f1c9a'))
    .action((word: string) =>
      inSession(async (session) => {
        const { symbolsDelete } = await import('../commands/symbols-keep.ts');
        return symbolsDelete(session, word);
      }),
    );
}

function addFiles(symbols: Command, { inSession }: Runs): void {
  symbols
    .command('export')
    .description('Write the symbols of a kernel to a file, for any Volatility 3.')
    .argument('<kernel>', kernel, filled)
    .option('-f, --file <file>', 'name of the file (default: <build-id>.json here)', filled)
    .addHelpText(
      'after',
      examples('kcorder symbols export node-1', 'kcorder symbols export 4f1c9a -f /cases/INC-4711/kernel.json'),
    )
    .action((word: string, options: { file?: string }) =>
      inSession(async (session) => {
        const { symbolsExport } = await import('../commands/symbols-export.ts');
        return symbolsExport(session, word, options.file);
      }),
    );
  symbols
    .command('import')
    .description('Hand an ISF to the collector: .json, .json.gz or .json.xz.')
    .argument('<file>', 'an ISF', filled)
    .option('--build-id <id>', 'build-id of its kernel (default: the banner in it names the kernel)', filled)
    .addHelpText(
      'after',
      examples('kcorder symbols import kernel.json', 'kcorder symbols import kernel.json.xz --build-id 4f1c9a0be2d3'),
    )
    .action((file: string, options: { buildId?: string }) =>
      inSession(async (session) => {
        const { symbolsImport } = await import('../commands/symbols-import.ts');
        return symbolsImport(session, file, options.buildId);
      }),
    );
}

interface BuildOptions {
  readonly output: string;
  readonly likeDwarf2json?: true;
  readonly banner?: string;
  readonly btf?: string;
  readonly kallsyms?: string;
  readonly moduleBtf?: readonly string[];
  readonly kernelOffset?: bigint;
  readonly release?: string;
}

/** Takes none of the global options: no collector is asked, and -o names the file. */
function addBuild(symbols: Command, { alone }: Runs): void {
  const build = new StrictCommand('build')
    .copyInheritedSettings(symbols)
    .configureHelp({ showGlobalOptions: false })
    .description("Build an ISF here, without a collector: from a vmlinux, or from a running kernel's own files.")
    .argument('[vmlinux]', 'ELF file of the kernel with its debugging information', filled)
    .requiredOption('-o, --output <file>', 'name of the ISF, such as kernel.json', plainFile)
    .option(
      '--banner <text>',
      'text of /proc/version, on Ubuntu with " ($(cat /proc/version_signature))" after it; with a vmlinux only where it lacks .rodata, as split debug files do',
      filled,
    )
    .option('--like-dwarf2json', 'exactly what dwarf2json makes of a vmlinux, its faults included')
    .option('--btf <file>', 'instead of a vmlinux: /sys/kernel/btf/vmlinux of the kernel', filled)
    .option('--kallsyms <file>', '/proc/kallsyms of the kernel, with addresses', filled)
    .option('--module-btf <file...>', '/sys/kernel/btf/NAME of modules')
    .option('--kernel-offset <hex>', 'KERNELOFFSET in the VMCOREINFO of that boot (default: 0)', address)
    .option('--release <text>', 'uname -r of the kernel', filled)
    .addHelpText(
      'after',
      examples(
        'kcorder symbols build vmlinux -o kernel.json',
        'kcorder symbols build vmlinux.debug --banner "$(cat /proc/version)" -o kernel.json',
        'kcorder symbols build --btf vmlinux.btf --kallsyms kallsyms --kernel-offset 1a000000 --banner "$(cat version)" --release 6.1.0 -o kernel.json',
      ),
    )
    .action((vmlinux: string | undefined, options: BuildOptions, command: Command) => {
      const input = inputOf(vmlinux, options, command);
      return alone(async (...place) => {
        const { symbolsBuild } = await import('../commands/symbols-build.ts');
        return symbolsBuild(...place, { input, file: options.output });
      });
    });
  symbols.addCommand(build);
}

function inputOf(path: string | undefined, options: BuildOptions, command: Command): BuildInput {
  const { btf: btfPath, kallsyms: kallsymsPath, moduleBtf, kernelOffset, banner, release } = options;
  const likeDwarf2json = options.likeDwarf2json === true;
  const ofKernel = [btfPath, kallsymsPath, moduleBtf, kernelOffset, release].some((given) => given !== undefined);
  if (path !== undefined) {
    if (ofKernel)
      command.error(
        'error: a vmlinux and --btf, --kallsyms, --module-btf, --kernel-offset or --release do not go together.',
      );
    return { kind: 'elf', path, likeDwarf2json, banner };
  }
  if (btfPath === undefined || kallsymsPath === undefined || banner === undefined || release === undefined)
    return command.error('error: give a vmlinux, or all of --btf, --kallsyms, --banner and --release.');
  if (likeDwarf2json) command.error('error: --like-dwarf2json needs a vmlinux.');
  return {
    kind: 'kernel',
    btfPath,
    moduleBtfPaths: moduleBtf ?? [],
    kallsymsPath,
    kernelOffset: kernelOffset ?? 0n,
    banner,
    release,
  };
}
