import { expect, test } from 'vitest';
import { hasTests } from './test-files.ts';

test.each([
  ['./cli/main.test.ts', ['unit']],
  ['test/kernels/recall.test.ts', ['unit']],
  ['test/helm/rights.test.ts', ['process']],
  ['test/e2e', ['system']],
  ['rights.test.ts', ['unit', 'process']],
  ['no-such-test', []],
])('%s is among the tests of %j', (word, projects) => {
  const all = ['unit', 'process', 'system'] as const;
  expect(all.filter((project) => hasTests(project, [word]))).toEqual(projects);
});
