import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { expect, test } from 'vitest';
import { missingBuildId, missingOf, providedOf, readyBuildId, readyOf } from '../fixtures/lab-symbols.ts';
import { resolveKept, resolveKernel } from './symbols.ts';

const kernels = [readyOf(), missingOf(), providedOf()];

test.each([
  ['a node', 'lab-3', readyBuildId],
  ['a release', '6.12.0-2-amd64', missingBuildId],
  ['a build-id', readyBuildId, readyBuildId],
  ['the beginning of a build-id', '4f1c9a7', missingBuildId],
  ['the beginning of a build-id in capitals', '4F1C9A7', missingBuildId],
  ['the beginning of a key', 'banner-0c', providedOf().key],
  ['a key', providedOf().key, providedOf().key],
])('%s names a kernel', (_what, word, key) => {
  expect(resolveKernel(kernels, word).key).toBe(key);
});

test.each([
  ['a word that means nothing', 'nope', /^"nope" is no node, kernel release or build-id that the collector knows/],
  ['a beginning that is too short', '4f1c9', /^"4f1c9" is no node.*needs 6 characters or more/],
  [
    'a beginning of two build-ids',
    '4f1c9a',
    new RegExp(
      `^"4f1c9a" means 2 kernels: 6\\.6\\.72\\+ \\(${readyBuildId}\\), 6\\.12\\.0-2-amd64 \\(${missingBuildId}\\)\\. Give the key of one`,
    ),
  ],
])('%s names none', (_what, word, expected) => {
  expect(() => resolveKernel(kernels, word)).toThrow(expected);
});

test('a release of many kernels names some of them', () => {
  const many = Array.from({ length: 11 }, (_, index) => missingOf({ key: `key-number-${index}` }));
  expect(() => resolveKernel(many, '6.12.0-2-amd64')).toThrow(/means 11 kernels: .*\(key-number-7\) and 3 more\./);
});

test('a node called as the release of another kernel is that node', () => {
  expect(resolveKernel([readyOf({ nodeNames: ['6.12.0-2-amd64'] }), missingOf()], '6.12.0-2-amd64').key).toBe(
    readyBuildId,
  );
});

test('where only kept symbols count, what is not kept stands in nobody’s way', () => {
  expect(resolveKept(kernels, '4f1c9a').key).toBe(readyBuildId);
  expect(() => resolveKept(kernels, 'lab-2')).toThrow(
    `no symbols of kernel 6.12.0-2-amd64 (${missingBuildId}) are kept: their state is missing.`,
  );
});

test('what is kept for a kernel and is of another build can still be named', () => {
  const kernel = missingOf({ status: { state: SymbolsState.MISMATCH } });
  expect(resolveKept([kernel], 'lab-2')).toBe(kernel);
});
