import { once } from 'node:events';
import { say } from './setup/progress.ts';
import { ClusterStage, namespace } from './stage/cluster-stage.ts';

const nodes = ['node1', 'node2'] as const;

/** The main job on a Kubernetes cluster of its own: the chart installed, pods running, a capture through the API server. Exit code of `kcorder capture`. */
export async function demoCluster(keep: boolean): Promise<number> {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const { signal } = interrupted;
  say(
    'starting a cluster of two nodes: node1 is a virtual machine with a kernel of its own, node2 runs on the kernel of this machine',
  );
  const stage = await ClusterStage.open({ signal });
  try {
    say(`$ helm upgrade --install kcorder helm/kcorder -n ${namespace} -f tools/stage/cluster-values.yaml`);
    const startMs = performance.now();
    await stage.install();
    await stage.attached(nodes, 180_000, signal);
    say(
      `the agents of both nodes are registered ${((performance.now() - startMs) / 1000).toFixed(1)} s after helm began`,
    );
    say('$ kcorder get nodes');
    await stage.showKcorder(['get', 'nodes'], 'responder', signal);
    const spec = ['capture', '--pod', 'default/forensics-test', '--reason', 'demo', '--wait'];
    say('$ kcorder capture --pod default/forensics-test --reason "demo" --wait');
    const exitCode = await stage.showKcorder(spec, 'responder', signal);
    if (keep && !signal.aborted) {
      say('It is up until Ctrl-C. In another terminal:');
      say(`  ./dev cluster kubectl get pods -A`);
      say(`  ./dev cluster run node cli/main.ts --service-account ${namespace}/responder get captures`);
      await once(signal, 'abort');
    }
    return exitCode;
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    await stage.close();
    say('the cluster is down, and what it held is gone');
  }
}
