import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '../setup/command.ts';
import { quote } from './quote.ts';

/** A file of a node's settings: its path and its text. */
export interface SettingsFile {
  path: string;
  text: string;
}

/** Writes the files into a plain tar: nodes read such a one as a disk, or from a command's standard input. */
export async function writeTar(tarPath: string, files: SettingsFile[]): Promise<void> {
  const folder = `${tarPath}.folder`;
  for (const { path, text } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { mode: 0o600 });
  }
  await command('tar', ['-c', '-f', tarPath, '--owner=0', '--group=0', '-C', folder, '.']);
  rmSync(folder, { recursive: true });
}

/** Lines that a shell reads with `.`. */
export function shellVariables(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('');
}
