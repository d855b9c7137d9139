import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { repoDir } from '../../tools/setup/cache.ts';

/* Every test that tries random input, with fifty times as much of it. */
process.env.KCORDER_FUZZ = '50';
const paths = globSync('{proto,isf,agent,collector,cli}/**/*.test.ts', { cwd: repoDir }).sort();
for (const path of paths.filter((each) => readFileSync(join(repoDir, each), 'utf8').includes('tools/fuzz-runs.ts')))
  describe(path, async () => void (await import(join(repoDir, path))));
