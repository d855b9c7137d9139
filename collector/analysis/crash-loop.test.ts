import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { partial } from '../testing/states.ts';
import { report, rig } from './testing/queue-rig.ts';

test.each(['sealed', 'again'])(
  'an analysis (%s) in which the collector died three times fails, and the next one runs',
  async (which) => {
    const crash = { now: false };
    await using r = rig({
      analyze: async (_job, signal) => {
        if (!crash.now) return report;
        return await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    r.sealed('c-1');
    if (which === 'again') {
      r.queue.wake();
      await r.done('c-1');
      r.again.ask('c-1', 'operator/alice');
    }
    r.sealed('c-2', partial);
    const before = r.jobs.length;
    crash.now = true;
    for (let begun = 1; begun <= 3; begun += 1) {
      const { queue } = r.open();
      queue.wake();
      await until(() => r.jobs.length === before + begun);
      await queue.close();
    }
    crash.now = false;
    const last = r.open();
    last.queue.wake();
    const failed = { kind: 'failed', reason: 'collector_died', detail: expect.stringContaining('kcorder analyze c-1') };
    if (which === 'sealed') expect((await r.done('c-1')).analysis).toMatchObject(failed);
    else await until(() => last.again.get('c-1')?.kind === 'ended');
    if (which === 'again') expect(last.again.get('c-1')).toMatchObject({ ending: failed });
    await r.done('c-2');
    expect(r.jobs).toHaveLength(before + 3);
    // A person who asks for it once more gets three more.
    last.again.ask('c-1', 'operator/alice');
    last.queue.wake();
    await until(() => r.jobs.length === before + 4);
    await last.queue.close();
  },
);
