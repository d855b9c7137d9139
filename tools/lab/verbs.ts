import { say } from '../setup/progress.ts';
import { parseLabArguments, type UpOptions } from './arguments.ts';
import { exec } from './exec-client.ts';
import { launch } from './launch.ts';
import { end, find, list } from './state.ts';

/** `./dev lab …`: exit code; that of the command for `run`. */
export async function lab(args: string[]): Promise<number> {
  const asked = parseLabArguments(args);
  switch (asked.kind) {
    case 'wrong':
      say(`./dev lab: ${asked.message}`);
      return 2;
    case 'list':
      for (const node of list()) {
        const paging = node.la57 ? '5-level paging' : '4-level paging';
        process.stdout.write(
          `${node.name}  ${node.kernelRelease}  ${node.memoryMiB} MiB  ${paging}  ${node.accel}  pid ${node.pid}\n`,
        );
      }
      return 0;
    case 'up':
      return await up(asked.options);
    case 'down': {
      const node = find(asked.name);
      if (!node) return notUp(asked.name);
      await end(node);
      say(`lab node ${asked.name} is down`);
      return 0;
    }
    case 'run': {
      const node = find(asked.name);
      if (!node) return notUp(asked.name);
      const canceled = new AbortController();
      process.once('SIGINT', () => canceled.abort(new Error('interrupted')));
      try {
        return await exec(node.exec, {
          command: asked.command,
          // a terminal would be read for ever: only what is piped in is passed on
          ...(process.stdin.isTTY ? {} : { stdin: process.stdin }),
          onStdout: (bytes) => void process.stdout.write(bytes),
          onStderr: (bytes) => void process.stderr.write(bytes),
          signal: canceled.signal,
        });
      } catch (error) {
        if (canceled.signal.aborted) return 130;
        throw error;
      } finally {
        process.stdin.destroy();
      }
    }
  }
}

async function up(options: UpOptions): Promise<number> {
  const startMs = performance.now();
  const canceled = new AbortController();
  process.once('SIGINT', () => canceled.abort(new Error('interrupted')));
  const node = await launch({ ...options, signal: canceled.signal }, { endsWithUs: false });
  say(
    `lab node ${node.name} is up after ${((performance.now() - startMs) / 1000).toFixed(1)} s (kernel ${node.kernelRelease}, ${node.accel})`,
  );
  say(
    `try: ./dev lab run --name ${node.name} ps; its console: ${node.consolePath}; down: ./dev lab down --name ${node.name}`,
  );
  return 0;
}

function notUp(name: string): number {
  const names = list().map((node) => node.name);
  say(`lab node ${name} is not up; ${names.length > 0 ? `up: ${names.join(', ')}` : 'none is: ./dev lab up'}`);
  return 1;
}
