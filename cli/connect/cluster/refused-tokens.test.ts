import { writeFileSync } from 'node:fs';
import { Fault } from '@kcorder/proto/fault.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { kubeconfigText } from '../../fixtures/cluster.ts';
import { type ClusterRig, startRig } from '../../fixtures/cluster-rig.ts';
import { runCommand } from '../../fixtures/command.ts';
import { analysisOf, captureOf } from '../../fixtures/lab-capture.ts';

const refused = new Fault('unauthenticated', 'the API server does not vouch for this token');
const broken = new Fault('unavailable', 'the collector ends');
const accountPath = 'POST /api/v1/namespaces/people/serviceaccounts/alice/token';

let rig: ClusterRig;
/** How the first stream ends, and with it the token that opened it. */
let end: Fault;
let refusesAll: boolean;
/** Happens before it ends. */
let meanwhile: () => void;
const judge = (): void => {
  const isFirst = rig.tokens.length === 1;
  if (refusesAll || (!isFirst && rig.tokens.at(-1) === rig.tokens[0])) throw refused;
};
beforeAll(async () => {
  rig = await startRig({
    getAnalysis: async () => {
      judge();
      return analysisOf();
    },
    watchCapture: async function* () {
      judge();
      const isFirst = rig.tokens.length === 1;
      yield { capture: captureOf(isFirst ? { phase: Phase.ACQUIRING } : {}) };
      if (isFirst) {
        meanwhile();
        throw end;
      }
    },
  });
});
beforeEach(() => {
  refusesAll = false;
  meanwhile = () => undefined;
  return rig.renew();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A plugin that gives another token each time that it is run, and no date. */
function plugin(): object {
  const text = `#!/bin/sh
n=$(($(cat "$0.n" 2>/dev/null || echo 0) + 1))
echo $n >"$0.n"
echo "{\\"status\\":{\\"token\\":\\"number-$n\\"}}"
`;
  return { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: rig.fileOf(text, 'plugin') } };
}

/** Answers with another token each time, to whoever is not refused. */
function countAccountTokens(lifetimeMs: number, refused: (authorization: string) => boolean = () => false): void {
  let count = 0;
  rig.kubernetes.answers[accountPath] = ({ authorization }) => {
    if (refused(authorization)) return { refused: 401, message: 'Unauthorized' };
    count += 1;
    const expirationTimestamp = new Date(Date.now() + lifetimeMs).toISOString();
    return { status: { token: `number-${count}`, expirationTimestamp } };
  };
}

const watch = (...options: string[]) => runCommand(['watch', 'c20261122t190311-0193a5c2', '--kubeconfig', ...options]);
const account = ['--service-account', 'people/alice'];

test.each<[string, Fault, () => string[]]>([
  ['of a plugin that gives no date', refused, () => [rig.kubeconfig(plugin())]],
  [
    'of a plugin that gives no date, which ended while there was no connection,',
    broken,
    () => [rig.kubeconfig(plugin())],
  ],
  [
    'whose date a slow clock does not reach',
    refused,
    () => {
      countAccountTokens(7_200_000);
      return [rig.kubeconfig({ token: 'secret' }), ...account];
    },
  ],
])('a token %s is not shown again once it is refused', async (_what, ending, options) => {
  end = ending;
  const ran = await watch(...options());
  expect(ran.stderr).not.toContain('does not vouch');
  expect(ran.exit).toBe(0);
  const shown = rig.tokens.map((token) => token.replace('Bearer number-', ''));
  expect(shown).toEqual(ending === broken ? ['1', '1', '2', '2'] : ['1', '2', '2']);
});

test('nor is one of a plugin that the API server refuses', async () => {
  end = refused;
  countAccountTokens(0, (authorization) => rig.tokens.length > 0 && authorization === 'Bearer number-1');
  const ran = await watch(rig.kubeconfig(plugin()), ...account);
  expect(ran.stderr).not.toContain('log in again');
  expect(ran.exit).toBe(0);
});

test('a plugin is not run again for a token that was never taken', async () => {
  refusesAll = true;
  const ran = await watch(rig.kubeconfig(plugin()));
  expect(rig.tokens).toEqual(['Bearer number-1']);
  expect(ran.stderr).toMatch(/does not vouch for this token\.\n$/);
  expect(ran.exit).toBe(1);
});

test.each<[string, object]>([
  ['another current context', { 'current-context': 'prod' }],
  ['another cluster of the same name', { clusters: [{ name: 'lab', cluster: { server: 'https://prod.example' } }] }],
  ['another user of the context', { contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'bob' } }] }],
])(
  'no token of another cluster or user is shown to a collector that refuses one, as with %s',
  async (_what, change) => {
    end = refused;
    const others = {
      clusters: [{ name: 'prod', cluster: { server: 'https://prod.example' } }],
      contexts: [{ name: 'prod', context: { cluster: 'prod', user: 'bob' } }],
      users: [{ name: 'bob', user: { token: 'of-prod' } }],
    };
    const lab = JSON.parse(kubeconfigText(rig.kubernetes.url, { token: 'secret' }));
    const both = { ...lab };
    for (const [name, more] of Object.entries(others)) both[name] = [...lab[name], ...more];
    const path = rig.fileOf(JSON.stringify(both));
    meanwhile = () => writeFileSync(path, JSON.stringify({ ...both, ...change }));
    const ran = await watch(path);
    expect([...new Set(rig.tokens)]).toEqual(['Bearer secret']);
    expect(ran.stderr).toContain('does not vouch for this token');
    expect(ran.exit).toBe(1);
  },
);

test('another namespace of the context keeps no token from being replaced', async () => {
  end = refused;
  const lab = JSON.parse(kubeconfigText(rig.kubernetes.url, { token: 'secret' }));
  const path = rig.fileOf(JSON.stringify(lab));
  const users = [{ name: 'alice', user: { token: 'another' } }];
  const contexts = [{ name: 'lab', context: { ...lab.contexts[0].context, namespace: 'shop' } }];
  meanwhile = () => writeFileSync(path, JSON.stringify({ ...lab, users, contexts }));
  const ran = await watch(path);
  expect(rig.tokens).toContain('Bearer another');
  expect(ran.exit).toBe(0);
});
