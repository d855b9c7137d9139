import { join } from 'node:path';
import { repoDir } from './cache.ts';
import { ensurePythonPackages } from './python-packages.ts';

const requirementsPath = join(repoDir, 'test/kernels/drgn/requirements.txt');

/** The path of a Python that has drgn in the pinned version, in an environment of its own. */
export async function ensureDrgn(): Promise<string> {
  return await ensurePythonPackages('drgn', 'drgn', requirementsPath);
}
