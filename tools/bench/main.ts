import { say } from '../setup/progress.ts';
import { benchAnalysis, benchCrowd } from './analysis.ts';
import { benchFleet } from './fleet.ts';
import { benchFlood } from './flood.ts';
import { benchMainJob } from './main-job.ts';
import { benchAgentRss, benchCollectorRss } from './memory.ts';
import { type Row, table } from './row.ts';
import { benchSchedules } from './schedules.ts';
import { benchStream } from './stream.ts';
import { benchLab } from './stream-lab.ts';
import { benchBtf, benchCached, benchDwarf } from './symbols.ts';

/** Every bench by the name that the command line takes. Each measures its peer in the same run. */
const benches: Readonly<Record<string, (imageDir?: string) => Promise<Row[]>>> = {
  stream: async () => [...(await streams()), ...(await benchLab({ runs: 3 }))],
  'stream:host': () => streams(),
  'stream:lab': () => benchLab({ runs: 3 }),
  'agent-rss': () => benchAgentRss({ stallSeconds: 120 }),
  'collector-rss': () => benchCollectorRss({ smallMebibytes: 256, largeMebibytes: 1536 }),
  symbols: async () => [...(await benchDwarf({ runs: 3 })), ...(await benchBtf({ runs: 5 })), ...(await cached())],
  'symbols:dwarf': () => benchDwarf({ runs: 3 }),
  'symbols:btf': () => benchBtf({ runs: 5 }),
  'symbols:cached': () => cached(),
  fleet: () => benchFleet({ sizes: [100, 500, 2_000], plan: { settleSeconds: 20, orders: 50, lists: 100 } }),
  flood: () => benchFlood({ seconds: 10 }),
  schedules: () => benchSchedules({ nodes: 1_000, cap: 20, jitterSeconds: 60, scrapes: 20 }),
  'main-job': () => benchMainJob({ runs: 3 }),
  analysis: async (imageDir) => [
    ...(await benchAnalysis({ runs: 3, ...(imageDir !== undefined && { imageDir }) })),
    ...(await benchCrowd({ runs: 3 })),
  ],
  'analysis:crowd': () => benchCrowd({ runs: 3 }),
};

const whole = [
  'stream',
  'agent-rss',
  'collector-rss',
  'symbols',
  'fleet',
  'flood',
  'schedules',
  'main-job',
  'analysis',
];

const imageOption = '--image=';

const cached = (): Promise<Row[]> => benchCached({ runs: 200 });

const streams = (): Promise<Row[]> => benchStream({ mebibytes: 512, runs: 5 });

/** `./dev bench [NAME…] [--json] [--image=DIR]`: all benches or the named ones; `analysis` on an image that is there. Exit code 0, 1 when a bench broke down, 2 for wrong usage. */
export async function bench(args: string[]): Promise<number> {
  const names = args.filter((arg) => arg !== '--json' && !arg.startsWith(imageOption));
  const imageDir = args.find((arg) => arg.startsWith(imageOption))?.slice(imageOption.length);
  const unknown = names.find((name) => benches[name] === undefined);
  if (unknown !== undefined) {
    say(
      `./dev bench: there is no bench ${unknown}; the benches are ${Object.keys(benches).join(', ')}, and --json and --image=DIR are the options`,
    );
    return 2;
  }
  // Children and folders are taken away when this process exits; a signal alone would leave them.
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => process.exit(exitCode));
  const json = args.includes('--json');
  const rows: Row[] = [];
  let exitCode = 0;
  for (const name of names.length > 0 ? names : whole) {
    say(`bench ${name}`);
    try {
      const measured = (await benches[name]?.(imageDir)) ?? [];
      if (json) for (const row of measured) process.stdout.write(`${JSON.stringify(row)}\n`);
      rows.push(...measured);
    } catch (error) {
      say(`bench ${name} broke down: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      exitCode = 1;
    }
  }
  if (!json && rows.length > 0) process.stdout.write(`${table(rows)}\n`);
  return exitCode;
}
