import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { repoDir } from '../setup/cache.ts';

/** Where the command line finds its collector. */
export interface Context {
  readonly address: string;
  readonly tlsDir: string;
}

/** How a run of the command line ended. */
export interface CommandEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const entry = join(repoDir, 'cli/main.ts');

function environment(context: Context): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    KUBECONFIG: process.env.KUBECONFIG,
    TERM: process.env.TERM,
    COLUMNS: process.env.COLUMNS,
    NO_COLOR: process.env.NO_COLOR,
    KCORDER_COLLECTOR: context.address,
    KCORDER_TLS_DIR: context.tlsDir,
  };
}

/** Runs kcorder and gathers what it prints. */
export async function kcorder(context: Context, args: readonly string[]): Promise<CommandEnd> {
  const child = spawn(process.execPath, [entry, ...args], {
    env: environment(context),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
  return { exitCode, stdout, stderr };
}

/** Runs kcorder on this terminal and resolves with its exit code. */
export async function showKcorder(context: Context, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [entry, ...args], { env: environment(context), stdio: 'inherit' });
  return await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
}
