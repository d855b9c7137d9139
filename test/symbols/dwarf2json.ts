import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFromElf, type ElfBuildOptions } from '../../isf/build-from-elf.ts';
import { openFile } from '../../isf/byte-source.ts';
import { type Content, contentOf } from '../../isf/fixtures/canonical.ts';
import { command } from '../../tools/setup/command.ts';
import { ensureDwarf2json } from '../../tools/setup/dwarf2json.ts';

/** What dwarf2json makes of an ELF file; throws its error if it fails. */
export async function contentByDwarf2json(elfPath: string): Promise<Content> {
  const program = await ensureDwarf2json();
  const folder = mkdtempSync(join(tmpdir(), 'kcorder-symbols-'));
  try {
    const stdoutPath = join(folder, 'isf.json');
    await command(program, ['linux', '--elf', elfPath], { stdoutPath });
    return contentOf(readFileSync(stdoutPath, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What we make of it. Throws BadInput. */
export function contentByUs(elfPath: string, options: ElfBuildOptions): Content {
  using elf = openFile(elfPath);
  const pieces: Buffer[] = [];
  buildFromElf(elf, (piece) => pieces.push(piece), options);
  return contentOf(Buffer.concat(pieces).toString());
}
