import { ensureImages } from '../images/build.ts';
import { prepareCluster } from '../lab/cluster/launch.ts';
import { ensureInitrd } from '../lab/initrd.ts';
import { ensureRootImage } from '../lab/root-image.ts';
import { ensureAgentRuntime } from './agent-runtime.ts';
import { ensureDrgn } from './drgn.ts';
import { explain } from './failure.ts';
import { ensureFakeGcs } from './fake-gcs.ts';
import { ensureHclfmt } from './hclfmt.ts';
import { ensureHelm, ensureHelmDocs } from './helm.ts';
import { ensureHostPackages } from './host-packages.ts';
import { ensureKernel } from './kernel.ts';
import { ensureKubeconform } from './kubeconform.ts';
import { say } from './progress.ts';
import { ensurePrometheus } from './prometheus.ts';
import { ensureVmlinux, hasVmlinux } from './vmlinux.ts';
import { ensureVolatility } from './volatility.ts';

/** The kernel series whose symbols tests compare with golden digests of dwarf2json's; nodes boot the first. */
const comparedSeries = ['6.1', '6.12'] as const;

/** Fetches and builds all that the demo and the tests need; goes on past a failure and tells all of them. Exit code. */
export async function ensureEverything(): Promise<number> {
  const startMs = performance.now();
  await ensureHostPackages();
  // Lines side by side: cargo and Go want the processor, the others mostly wait for the network.
  const ended = await Promise.allSettled([
    ensureAgentRuntime(),
    ensureVolatility(),
    ensureDrgn(),
    ensurePrometheus(),
    ensureClusterAndCharts(),
    ensureRootImage().then(async (root) => {
      const newest = await ensureKernel('newest');
      await ensureInitrd(newest, root.busyboxPath);
      if (await hasVmlinux(newest)) await ensureVmlinux(newest);
      for (const series of comparedSeries) {
        const kernel = await ensureKernel(series);
        await ensureInitrd(kernel, root.busyboxPath);
        await ensureVmlinux(kernel);
      }
    }),
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

/** What a cluster is made of, one after the other: two cores are busy with one Go program. */
async function ensureClusterAndCharts(): Promise<void> {
  await prepareCluster();
  await ensureHelm(3);
  await ensureHelm(4);
  await ensureHelmDocs();
  await ensureKubeconform();
  await ensureHclfmt();
  await ensureFakeGcs();
  await ensureImages();
}
