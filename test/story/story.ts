import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../collector/testing/free-port.ts';
import type { LabNode } from '../../tools/lab/node.ts';
import { command } from '../../tools/setup/command.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { kcorder } from '../../tools/stage/command-line.ts';
import { Stage } from '../../tools/stage/stage.ts';
import { isSmear } from '../kernels/smeared.ts';
import { askProc, livedThrough, type OracleProcess } from './oracle.ts';

interface JsonProcess {
  pid: number;
  ppid?: number;
  name: string;
  state: string;
  cgroup: string;
  commandLine?: string;
  placement?: { podNamespace?: string; podName?: string; containerName?: string };
  sockets?: { localPort?: number; state?: string }[];
}

interface JsonCapture {
  id: string;
  sha256: string;
  durableBytes: string;
  evidencePath: string;
  outcome?: { kind: string; reason?: string };
  interruptions?: unknown[];
}

/** The README as a test: a responder and a node without an agent, from the first question to the evidence in hand. */
export function describeStory(lab: () => LabNode): void {
  describe('a responder and a node', () => {
    const dir = mkdtempSync(join(tmpdir(), 'kcorder-story-'));
    let stage: Stage;
    let node: LabNode;
    let symbolsPort: number;

    beforeAll(async () => {
      symbolsPort = await freePort();
      stage = await Stage.open(join(dir, 'stage'), {
        // The plain image is read here, by a stock Volatility too.
        env: { KCORDER_SYMBOLS_LISTEN: `127.0.0.1:${symbolsPort}`, KCORDER_SPOOL_SECONDS: '3600' },
      });
      node = lab();
      await stage.startAgent(node);
    });

    afterAll(async () => {
      await node?.stopAgent('KILL');
      await stage?.close();
      rmSync(dir, { recursive: true, force: true });
    });

    const run = async (...args: string[]) => await kcorder(stage.context, args);
    const attached = async (): Promise<void> => {
      await expect
        .poll(async () => (await run('get', 'nodes', node.name, '-o', 'json')).stdout, {
          timeout: 240_000,
          interval: 2_000,
        })
        .toMatch(/"online": true/);
    };

    test('the node appears by itself, with its kernel, and can be captured', async () => {
      await attached();
      const { stdout, exitCode } = await run('get', 'nodes', node.name, '-o', 'json');
      expect(exitCode).toBe(0);
      const release = (await node.must('uname -r')).trim();
      expect(stdout).toContain(`"release": "${release}"`);
      expect(stdout).toContain((await node.must('cat /proc/sys/kernel/random/boot_id')).trim());
      expect(stdout).toMatch(/"buildId": "[0-9a-f]{40}"/);
      expect(stdout).toContain('"refusals": []');
    });

    test('its symbols are there before anybody asks for a capture, made of what its own kernel tells', async () => {
      await expect
        .poll(async () => (await run('get', 'nodes', node.name, '-o', 'json')).stdout, {
          timeout: 240_000,
          interval: 1_000,
        })
        .toMatch(/"state": "SYMBOLS_STATE_READY"/);
      const { stdout, exitCode } = await run('symbols', 'get', node.name, '-o', 'json');
      expect(exitCode).toBe(0);
      expect(stdout).toContain('"quality": "SYMBOLS_QUALITY_BTF"');
      expect(stdout).toContain(`BTF and kallsyms of node ${node.name}`);
    });

    describe('a capture during which the collector is killed twice', () => {
      let capture: JsonCapture;
      let processes: JsonProcess[];
      let isTorn: boolean;
      let lived: OracleProcess[];

      test('ends with the analysis of a complete image', async () => {
        await attached();
        const before = await askProc(node);
        const waited = run('capture', node.name, '--reason', 'INC-1: odd connections', '--wait', '-o', 'json');
        const durableBytes = async (): Promise<number> => {
          const { captures } = JSON.parse((await run('get', 'captures', '-o', 'json')).stdout) as {
            captures: JsonCapture[];
          };
          return Number(captures[0]?.durableBytes ?? 0);
        };
        for (const bytes of [8 << 20, 64 << 20]) {
          await expect.poll(durableBytes, { timeout: 300_000, interval: 200 }).toBeGreaterThan(bytes);
          await stage.collector.stop('SIGKILL');
          await sleep(500);
          await stage.collector.start();
        }
        const { exitCode, stdout, stderr } = await waited;
        lived = livedThrough(before, await askProc(node));
        const answer = JSON.parse(stdout) as {
          capture: JsonCapture;
          analysis: { processes: JsonProcess[]; plugins: { state: string; reason?: string; warnings?: string[] }[] };
        };
        const { plugins } = answer.analysis;
        const failures = plugins.filter(
          ({ state, reason = '' }) => state === 'PLUGIN_STATE_FAILED' && !isSmear(reason),
        );
        expect({ failures, exitCode, stderr }).toMatchObject({ failures: [], exitCode: expect.toBeOneOf([0, 1]) });
        capture = answer.capture;
        processes = answer.analysis.processes;
        isTorn = plugins.some(({ warnings = [] }) =>
          warnings.some((text) => /^(The task list (is broken|leads over)|Links of the task list)/.test(text)),
        );
        expect(capture.outcome?.kind).toBe('OUTCOME_KIND_COMPLETE');
        expect(capture.interruptions).toHaveLength(2);
        const digest = createHash('sha256').update(readFileSync(capture.evidencePath)).digest('hex');
        expect(digest).toBe(capture.sha256);
        expect(await node.agentLog()).toContain(digest);
      });

      test('every process that lived through it is found, as the node itself tells of it', () => {
        expect(lived.length).toBeGreaterThan(40);
        for (const { pid, ppid, name, cgroup, commandLine } of lived) {
          const found = processes.find((process) => process.pid === pid);
          expect(found, `pid ${pid} (${name})`).toBeDefined();
          expect({ pid, ppid: found?.ppid ?? 0, name: found?.name, cgroup: found?.cgroup }).toEqual({
            pid,
            ppid,
            name,
            cgroup,
          });
          if (commandLine !== '') expect(found?.commandLine).toBe(commandLine);
        }
      });

      test.each([
        ['the Netcat listener', 'netcat', 4444, 'nc -l'],
        ['the Python script', 'script', 8000, 'python3 /app/beacon.py'],
        ['the plain pod in another namespace', 'web', 8080, 'httpd'],
      ])('%s is found by name, port and pod', (_what, container, port, command) => {
        const found = processes.filter(({ placement }) => placement?.containerName === container);
        const listening = found.filter(({ sockets }) =>
          sockets?.some(({ localPort, state }) => localPort === port && state === 'LISTEN'),
        );
        expect(listening).toHaveLength(1);
        expect(listening[0]?.commandLine).toContain(command);
        const [namespace, pod] = container === 'web' ? ['shop', 'checkout'] : ['default', 'forensics-test'];
        expect(listening[0]?.placement).toMatchObject({ podNamespace: namespace, podName: pod });
      });

      test('a zombie and a process whose first thread has exited are there', () => {
        expect(processes.filter(({ state }) => state === 'zombie').length).toBeGreaterThan(0);
        expect(processes.filter(({ state }) => state === 'leader exited').length).toBeGreaterThan(0);
      });

      test('the table groups the processes by node, namespace, pod and container', async () => {
        const { stdout, exitCode } = await run('ps', node.name);
        expect(exitCode).toBe(0);
        expect(stdout).toMatch(new RegExp(`${node.name} > default > forensics-test > netcat\\n.*tcp \\*:4444`));
        expect(stdout).toMatch(new RegExp(`${node.name} > kcorder > kcorder-agent > agent\\n`));
      });

      test('a stock Volatility finds the symbols that the collector offers, and reads the image with them', async () => {
        const vol = join(dirname(await ensureVolatility()), 'vol');
        const index = `http://127.0.0.1:${symbolsPort}/index.json`;
        const args = ['-q', '--remote-isf-url', index, '-r', 'json', '-f', capture.evidencePath, 'linux.pslist.PsList'];
        const rows = JSON.parse(
          await command(vol, args, { env: { XDG_CACHE_HOME: join(dir, 'vol-cache'), HOME: join(dir, 'home') } }),
        ) as { PID: number; COMM: string }[];
        const ours = processes.filter(({ state }) => state !== 'zombie' && state !== 'leader exited');
        const [stock, known] = [rows.map(({ PID }) => PID).sort(), ours.map(({ pid }) => pid).sort()];
        // It goes no further than the links of the list, and takes what they lead to for a process whatever it is by now.
        if (isTorn) expect(stock.filter((pid) => known.includes(pid)).length).toBeGreaterThan(20);
        else expect(stock).toEqual(known);
      });

      test('the download is the evidence, byte for byte, with its manifest', async () => {
        const file = join(dir, 'download.lime');
        expect((await run('download', capture.id, '-f', file)).exitCode).toBe(0);
        expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(capture.sha256);
        const manifest = JSON.parse(readFileSync(`${file}.manifest.json`, 'utf8')) as {
          capture: { reason: string };
          image: { sha256: string };
        };
        expect(manifest).toMatchObject({
          capture: { reason: 'INC-1: odd connections' },
          image: { sha256: capture.sha256 },
        });
      });
    });

    test('AVML dies in mid-stream: the capture is partial, says so, and is not analysed', async () => {
      const ordered = await run('capture', node.name, '--reason', 'INC-3', '-o', 'json');
      const { id } = JSON.parse(ordered.stdout) as JsonCapture;
      await expect
        .poll(async () => (await run('get', 'captures', id, '-o', 'json')).stdout, { timeout: 240_000 })
        .toContain('PHASE_ACQUIRING');
      await expect
        .poll(
          async () =>
            Number(
              (JSON.parse((await run('get', 'captures', id, '-o', 'json')).stdout) as JsonCapture).durableBytes ?? 0,
            ),
          { timeout: 240_000 },
        )
        .toBeGreaterThan(1 << 20);
      await node.must('kill -9 $(pidof avml)');
      const { exitCode, stdout } = await run('watch', id, '-o', 'json');
      expect(exitCode).toBe(3);
      expect(JSON.parse(stdout)).toMatchObject({
        capture: {
          outcome: { kind: 'OUTCOME_KIND_PARTIAL', reason: 'acquirer_died' },
          analysis: { state: 'ANALYSIS_STATE_SKIPPED' },
        },
      });
    });

    test.each([
      ['an unknown node', ['capture', 'nowhere', '--reason', 'x'], 1, /nowhere/],
      ['no reason', ['capture', 'some-node'], 2, /reason/],
    ])('%s gets a clear refusal', async (_what, args, code, sentence) => {
      const { exitCode, stderr, stdout } = await run(...args);
      expect(exitCode).toBe(code);
      expect(stderr).toMatch(sentence);
      expect(stdout).toBe('');
    });

    test('the metrics tell what happened', async () => {
      const metrics = async (): Promise<string> =>
        await (await fetch(`http://127.0.0.1:${stage.collector.options.metricsPort}/metrics`)).text();
      expect(await metrics()).toMatch(
        /kcorder_captures_ended_total\{trigger="manual",outcome="partial",reason="acquirer_died"\} 1/,
      );
      // The agent tells with its next heartbeat that it is free again.
      await expect.poll(metrics, { timeout: 120_000 }).toMatch(/kcorder_nodes\{online="true",capturable="true"\} 1/);
    });

    test('an agent that is gone makes its node offline, and a capture of it is refused', async () => {
      await node.stopAgent('KILL');
      await expect
        .poll(async () => (await run('capture', node.name, '--reason', 'x')).stderr, {
          timeout: 240_000,
          interval: 500,
        })
        .toMatch(/not attached/);
    });

    test('an agent that the runtime keeps away from memory says what stands in the way, and the capture is refused with it', async () => {
      await stage.startAgent(node, { privileged: false });
      const refusal = async (): Promise<string> => (await run('capture', node.name, '--reason', 'x')).stderr;
      try {
        await expect.poll(refusal, { timeout: 240_000, interval: 2_000 }).toMatch(/cannot be captured/);
      } catch (error) {
        throw new Error(`the agent did not attach:\n${await node.agentLog()}`, { cause: error });
      }
      const { stdout } = await run('get', 'nodes', node.name, '-o', 'json');
      for (const reason of ['KCORE_MASKED', 'NO_CAPABILITY', 'IOMEM_HIDDEN'])
        expect(stdout).toContain(`PREFLIGHT_REASON_${reason}`);
    });
  });
}
