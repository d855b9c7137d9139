import { defineConfig } from 'vitest/config';

/** What boots nodes or starts many processes runs alone, after everything else. */
const system = ['test/**/*.test.ts'];
const quick = [
  ...[
    'test/setup/**/*.test.ts',
    'test/lab/arguments.test.ts',
    'test/bench/**/*.test.ts',
    'test/kernels/recall.test.ts',
  ],
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{proto,agent,collector,cli}/**/*.test.ts', ...quick],
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
