import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatBytes, say } from '../setup/progress.ts';
import { ensureImages, writeContext } from './build.ts';

/** `./dev images`: builds both images and says where they are; with --context it writes what `docker build` takes. Exit code. */
export async function images(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { context: { type: 'string' }, gzip: { type: 'boolean', default: false } },
  });
  if (values.context !== undefined) {
    const path = resolve(values.context);
    await writeContext(path);
    say(`the context is there: docker build -t kcorder-agent -f images/agent/Dockerfile ${path}`);
    return 0;
  }
  const built = await ensureImages({ gzip: values.gzip });
  for (const { name, path, sbomPath, digest } of Object.values(built)) {
    process.stdout.write(`${name}\n  ${path}  ${formatBytes(statSync(path).size)}\n  ${digest}\n  ${sbomPath}\n`);
  }
  return 0;
}
