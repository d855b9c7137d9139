import { dirname, join } from 'node:path';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import type { RunEnd, RunnerProgram } from './run.ts';

type Verdict = Pick<AnalysisReport, 'state' | 'reason' | 'detail' | 'kernelMismatch' | 'versions' | 'diagnostics'> &
  Pick<Partial<AnalysisReport>, 'kernel'>;

/** What several runs of the runner and the ends of the plugins come to. */
export function verdict(runs: readonly RunEnd[], plugins: readonly PluginReport[], program: RunnerProgram): Verdict {
  const kernel = runs.find((run) => run.kernel !== undefined)?.kernel;
  const rest = {
    kernelMismatch: runs.some((run) => run.kernelMismatch),
    versions: Object.assign({}, ...runs.map((run) => run.versions)) as Record<string, string>,
    diagnostics: runs.flatMap(({ broken }) => (broken === undefined ? [] : [diagnosis(broken)])),
    ...(kernel === undefined ? {} : { kernel }),
  };
  if (plugins.some((plugin) => plugin.state !== 'failed')) return { state: 'done', reason: '', detail: '', ...rest };
  const broken = runs.at(-1)?.broken;
  if (broken?.whole === true) return { state: 'failed', ...name(broken, program), ...rest };
  const detail = `all ${plugins.length} plugins failed; the first: ${plugins[0]?.reason}`;
  return { state: 'failed', reason: 'plugins_failed', detail, ...rest };
}

function diagnosis({ reason, detail, stderr }: NonNullable<RunEnd['broken']>): string {
  return [`${reason}: ${detail}`, stderr.trim()].filter((part) => part !== '').join('\n');
}

/** The reason in our words: what the runner calls a crash is a broken installation when a part of it is not there. */
function name(broken: { reason: string; detail: string; stderr: string }, program: RunnerProgram) {
  const { reason, detail } = broken;
  const crashed = reason === 'crashed' || reason === 'runner_failed';
  const lacksParts = /ModuleNotFoundError|ImportError|SyntaxError|Fatal Python error: init/;
  if (reason === 'runner_unavailable' || (crashed && lacksParts.test(`${detail}\n${broken.stderr}`))) {
    const requirements = join(dirname(program.entry), 'requirements.txt');
    const advice = `Make its environment again (python3 -m venv DIR, then DIR/bin/pip install --require-hashes -r ${requirements}) and analyse again`;
    return { reason: 'runner_unavailable', detail: `${detail}. ${advice}` };
  }
  return { reason: crashed ? 'runner_failed' : reason, detail };
}
