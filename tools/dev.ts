import { explain } from './setup/failure.ts';
import { say } from './setup/progress.ts';

interface DevCommand {
  usage: string;
  summary: string;
  /** Resolves to the exit code. What a command needs is loaded only when it runs. */
  run: (args: string[]) => Promise<number>;
}

const commands: Record<string, DevCommand> = {
  demo: {
    usage: 'demo [--keep] [--cluster] [--symbols btf|dwarf]',
    summary:
      'boot a node, capture its memory, and print its processes by pod; --cluster does it on a Kubernetes cluster with the chart',
    run: async (args) => await (await import('./demo.ts')).demo(args),
  },
  test: {
    usage: 'test [--unit] [FILE…]',
    summary: 'run the static checks and all tests; --unit leaves out what boots a node',
    run: async (args) => await (await import('./test.ts')).test(args),
  },
  soak: {
    usage: 'soak [NAME…]',
    summary: 'run the long tests that CI leaves out: kernels, plugins, dwarf2json, agent-starts, weeks, fuzz',
    run: async (args) => await (await import('./soak.ts')).soak(args),
  },
  bench: {
    usage: 'bench [NAME…] [--json] [--image=DIR]',
    summary: 'measure against peers in the same run',
    run: async (args) => await (await import('./bench/main.ts')).bench(args),
  },
  kcorder: {
    usage: 'kcorder COMMAND…',
    summary: 'the command line, against the demo that is up or with what KCORDER_COLLECTOR and KCORDER_TLS_DIR say',
    run: async (args) => await (await import('./demo.ts')).runKcorder(args),
  },
  setup: {
    usage: 'setup',
    summary: 'fetch and build everything that the other commands need',
    run: async () => await (await import('./setup/everything.ts')).ensureEverything(),
  },
  images: {
    usage: 'images [--gzip] [--context DIR]',
    summary: 'build the container images of agent and collector, or write what `docker build` takes',
    run: async (args) => await (await import('./images/main.ts')).images(args),
  },
  lab: {
    usage: 'lab up|down|run CMD…|list [--name N] [--kernel 6.1|6.12|6.16|6.18|7.3|newest|DIR] [--memory MiB] [--la57]',
    summary: 'boot and drive single lab nodes by hand',
    run: async (args) => await (await import('./lab/verbs.ts')).lab(args),
  },
  cluster: {
    usage: 'cluster up [--image ARCHIVE…]|down|kubectl ARGS…|run CMD…',
    summary: 'a Kubernetes cluster of two nodes on this machine, and programs in its network',
    run: async (args) => await (await import('./lab/cluster/verbs.ts')).cluster(args),
  },
  doctor: {
    usage: 'doctor',
    summary: 'say what is there, what is missing, and what to do about it',
    run: async () => await (await import('./setup/doctor.ts')).doctor(),
  },
  clean: {
    usage: 'clean',
    summary: 'remove everything downloaded or built',
    run: async () => await (await import('./setup/clean.ts')).clean(),
  },
};

function usage(): string {
  return `Usage:\n${Object.values(commands).map(rowOf).join('\n')}\n`;
}

function rowOf({ usage, summary }: DevCommand): string {
  return `  ./dev ${usage}\n      ${summary}`;
}

const [name = 'help', ...args] = process.argv.slice(2);
const chosen = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (chosen && ['--help', '-h'].includes(args[0] ?? '') && name !== 'kcorder') {
  process.stdout.write(`Usage:\n${rowOf(chosen)}\n`);
} else if (chosen) {
  try {
    process.exitCode = await chosen.run(args);
  } catch (error) {
    say(`./dev ${name}: ${explain(error)}`);
    process.exitCode = 1;
  }
} else if (['help', '--help', '-h'].includes(name)) {
  process.stdout.write(usage());
} else {
  say(`./dev: there is no command "${name}"\n${usage()}`);
  process.exitCode = 2;
}
