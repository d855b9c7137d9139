import { defineConfig } from 'vitest/config';

const quick = ['test/kernels/recall.test.ts'];
/** Real processes, but no node: they mostly wait for each other, so two files share the two processors. */
const processes = [
  'test/{evidence,faults,helm,monitoring,terraform}/**/*.test.ts',
  'test/images/dockerfile.test.ts',
  'test/symbols/programs.test.ts',
];
/** Each boots a node, or builds something large: one after the other. */
const system = ['test/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{proto,isf,agent,collector,cli,tools}/**/*.test.ts', ...quick],
          // A busy machine is no failure.
          testTimeout: 180_000,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/**/*.soak.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'process',
          include: processes,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'system',
          include: system,
          exclude: [...quick, ...processes],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
