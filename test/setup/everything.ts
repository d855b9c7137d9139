import { ensureInitrd } from '../lab/initrd.ts';
import { ensureRootImage } from '../lab/root-image.ts';
import { ensureAgentRuntime } from './agent-runtime.ts';
import { explain } from './failure.ts';
import { ensureHostPackages } from './host-packages.ts';
import { ensureIsf } from './isf.ts';
import { ensureKernel } from './kernel.ts';
import { say } from './progress.ts';
import { ensureVolatility } from './volatility.ts';

/** Fetches and builds all that the demo and the tests need; goes on past a failure and tells all of them. Exit code. */
export async function ensureEverything(): Promise<number> {
  const startMs = performance.now();
  await ensureHostPackages();
  const kernel = await ensureKernel('6.1');
  // Three lines side by side: cargo and dwarf2json want the processor, the others mostly wait for the network.
  const ended = await Promise.allSettled([
    ensureAgentRuntime(),
    ensureVolatility(),
    ensureRootImage()
      .then((root) => ensureInitrd(kernel, root.busyboxPath))
      .then(() => ensureIsf(kernel)),
  ]);
  const failures = ended.filter((result) => result.status === 'rejected');
  for (const { reason } of failures) say(explain(reason));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  say(
    failures.length === 0
      ? `everything is there (${seconds} s)`
      : `${failures.length} of ${ended.length} parts are missing`,
  );
  return failures.length === 0 ? 0 : 1;
}
