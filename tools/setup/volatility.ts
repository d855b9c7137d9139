import { join } from 'node:path';
import { repoDir } from './cache.ts';
import { ensurePythonPackages } from './python-packages.ts';

const requirementsPath = join(repoDir, 'collector/analysis/volatility/requirements.txt');

/** The path of a Python that has Volatility 3 in the pinned version, in an environment of its own. */
export async function ensureVolatility(): Promise<string> {
  return await ensurePythonPackages('volatility', 'Volatility 3', requirementsPath);
}
