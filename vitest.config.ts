import { defineConfig } from 'vitest/config';

/** What boots nodes or starts many processes runs alone, after everything else. */
const system = ['test/**/*.test.ts'];
const quick = ['test/kernels/recall.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{proto,isf,agent,collector,cli,tools}/**/*.test.ts', ...quick],
          testTimeout: 60_000,
          maxWorkers: 2,
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
          name: 'system',
          include: system,
          exclude: quick,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
