import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { until } from '../../collector/testing/files.ts';
import { type ClusterStage, namespace } from '../../tools/stage/cluster-stage.ts';
import { isSmear } from '../kernels/smeared.ts';
import { Outage } from './outage.ts';
import { watchWire } from './wire.ts';

/** A busy machine is no failure. */
const captureLimitMs = 1_200_000;

/** The tests of one capture on a cluster on which the chart is installed. */
export function describeCapture(stage: () => ClusterStage): void {
  const must = (...args: string[]): Promise<string> => stage().cluster.must(args);
  const mustKcorder = async (args: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await stage().kcorder(args);
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    return stdout;
  };

  describe('a capture of the node that runs the test pod', () => {
    let captureId = '';
    const marker = `marker-${randomBytes(12).toString('hex')}`;

    test('by the name of the pod, also while the API server does not answer; its processes by name, those of the privileged pod too; nothing of memory on the wire in plain', {
      timeout: captureLimitMs,
    }, async () => {
      // In the node's memory only: made there, and brought there outside of the wire that is watched.
      await stage().cluster.onGuest(`MARKER=${marker} setsid sleep 3600 >/dev/null 2>&1 </dev/null &`);
      await using outage = await Outage.prepare(stage());
      const stopWatching = await watchWire(stage(), marker);
      const spec = ['capture', '--pod', 'default/forensics-test', '--reason', 'INC-4711 beacon', '-o', 'json'];
      const asked = await mustKcorder(spec);
      captureId = (JSON.parse(asked) as { capture: { id: string } }[])[0]?.capture.id ?? '';
      await until(
        async () => (await mustKcorder(['get', 'captures', captureId, '-o', 'json'])).includes('PHASE_ACQUIRING'),
        2_000,
      );
      await outage.outlast();
      // Each scrape of what watches it takes the node's processor.
      await outage[Symbol.asyncDispose]();
      // One process that waits, not one after another that looks: each start of it takes the node's processor.
      const { stdout, stderr, exitCode } = await stage().kcorder(['watch', captureId]);
      const failures = [...(stdout + stderr).matchAll(/^FAILED: [^:]+: (.*)$/gm)].map(([, reason = '']) => reason);
      expect({ failures: failures.filter((reason) => !isSmear(reason)), exitCode, stderr }).toMatchObject({
        failures: [],
        exitCode: failures.length === 0 ? 0 : 1,
      });
      const watched = await stopWatching();
      const tree = await mustKcorder(['ps', captureId]);
      expect(tree).toMatch(/node1 > default > forensics-test > netcat[\s\S]*tcp \*:4444\s+nc -l -k -p 4444/);
      expect(tree).toMatch(/node1 > default > forensics-test > script[\s\S]*tcp \*:8000\s+python3 \/app\/beacon\.py/);
      expect(tree).toMatch(/node1 > default > privileged-shell > shell\n[\s\S]*sleep infinity/);
      expect(tree).toMatch(/node1 > shop > checkout > web\n/);
      expect(tree).toMatch(new RegExp(`node1 > ${namespace} > kcorder-agent-\\w+ > agent\\n[\\s\\S]*avml acquire`));
      expect(watched.bytes).toBeGreaterThan(100 << 20);
      expect(watched.found).toBe(0);
    });

    test('the marker is in the image, so the wire was watched for the right thing', async () => {
      const script = `
      const { createReadStream } = require('node:fs');
      let tail = ''; let found = 0;
      createReadStream('/var/lib/kcorder/evidence/${captureId}/image.lime', { encoding: 'latin1', highWaterMark: 1 << 20 })
        .on('data', (part) => { if ((tail + part).includes('${marker}')) found += 1; tail = part.slice(-64); })
        .on('end', () => console.log('found', found));`;
      expect(
        await must('exec', '-n', namespace, 'kcorder-collector-0', '--', '/usr/local/bin/node', '-e', script),
      ).not.toMatch(/found 0/);
    });

    test('the manifest has the pods that it is about and every container that the API server knew there', async () => {
      const script = `process.stdout.write(require('node:fs').readFileSync('/var/lib/kcorder/evidence/${captureId}/manifest.json'))`;
      const manifest = JSON.parse(
        await must('exec', '-n', namespace, 'kcorder-collector-0', '--', '/usr/local/bin/node', '-e', script),
      ) as {
        capture: Record<string, unknown>;
        containers: { podName: string; containerName: string }[];
        inventoryAsOf: string;
      };
      expect(manifest.capture).toMatchObject({
        requestedBy: `user/system:serviceaccount:${namespace}:responder`,
        reason: 'INC-4711 beacon',
        pods: [expect.objectContaining({ namespace: 'default', name: 'forensics-test' })],
      });
      const names = manifest.containers.map(
        ({ podName, containerName }) => `${podName.replace(/^(kcorder-agent)-\w{5}$/, '$1')}/${containerName}`,
      );
      expect(names.sort()).toEqual(
        [
          'checkout/web',
          'forensics-test/netcat',
          'forensics-test/script',
          'kcorder-agent/agent',
          'privileged-shell/shell',
        ].sort(),
      );
      const requestedAt = Date.parse(String(manifest.capture.requestedAt));
      expect(Date.parse(manifest.inventoryAsOf)).toBeGreaterThan(requestedAt - 5 * 60_000);
    });

    test('in the pod the analysis was confined in full', async () => {
      const { stdout, stderr, exitCode } = await stage().kcorder(['ps', captureId, '-o', 'json']);
      expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
      const { confinement } = JSON.parse(stdout) as { confinement?: { landlockAbi: number } };
      expect(confinement).toMatchObject({ level: 'CONFINEMENT_LEVEL_FULL', seccomp: true });
      expect(confinement?.landlockAbi).toBeGreaterThan(0);
    });

    test('kubectl shows it on the node and on the pod', async () => {
      const events = await must('get', 'events', '-A', '-o', 'json');
      const { items } = JSON.parse(events) as {
        items: { reason: string; involvedObject: { kind: string; name: string } }[];
      };
      const ours = items.filter(({ reason }) => reason.startsWith('MemoryCapture'));
      expect(ours.map(({ reason, involvedObject: { kind, name } }) => `${reason} ${kind}/${name}`).sort()).toEqual([
        'MemoryCaptureComplete Node/node1',
        'MemoryCaptureComplete Pod/forensics-test',
        'MemoryCaptureStarted Node/node1',
        'MemoryCaptureStarted Pod/forensics-test',
      ]);
    });

    test('by labels and by namespace the same node is found, and what is not there is said so', async () => {
      const gone = await stage().kcorder(['capture', '--pod', 'default/nothing', '--reason', 'x']);
      expect(gone).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('there is no pod nothing in namespace default'),
      });
      const bad = await stage().kcorder(['capture', '--selector', 'app in', '--reason', 'x']);
      expect(bad.exitCode).toBe(2);
      expect(bad.stderr).toContain('does not take the selector');
      const none = await stage().kcorder(['capture', '--selector', 'app=nobody', '--reason', 'x']);
      expect(none.stderr).toContain('no running pod with the labels app=nobody was found');
      const { stderr, stdout } = await stage().kcorder([
        'capture',
        '--all-in-namespace',
        'shop',
        '--reason',
        'x',
        '-o',
        'json',
      ]);
      expect(stdout + stderr).toContain('node1');
      const [{ capture } = { capture: { id: '' } }] = JSON.parse(stdout) as { capture: { id: string } }[];
      await stage().kcorder(['cancel', capture.id]);
    });
  });
}
