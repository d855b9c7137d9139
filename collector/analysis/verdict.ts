import { dirname, join } from 'node:path';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import type { Break, RunEnd } from './run.ts';
import type { RunnerProgram } from './runner.ts';

type Verdict = Pick<AnalysisReport, 'state' | 'reason' | 'detail' | 'kernelMismatch' | 'versions' | 'diagnostics'> &
  Pick<Partial<AnalysisReport>, 'kernel'>;

/** What several runs of the runner and the ends of the plugins come to. */
export function verdict(runs: readonly RunEnd[], plugins: readonly PluginReport[]): Verdict {
  const kernel = runs.find((run) => run.kernel !== undefined)?.kernel;
  const rest = {
    kernelMismatch: runs.some((run) => run.kernelMismatch),
    versions: Object.assign({}, ...runs.map((run) => run.versions)) as Record<string, string>,
    diagnostics: runs.flatMap(diagnosesOf),
    ...(kernel === undefined ? {} : { kernel }),
  };
  const broken = runs.at(-1)?.broken;
  // What could not be read is not told by the plugins that ended before it was asked for.
  const unread = broken?.reason === 'image_unreadable';
  const useful = plugins.some((plugin) => plugin.state !== 'failed');
  if (useful && !unread) return { state: 'done', reason: '', detail: '', ...rest };
  if (broken?.whole === true) return { state: 'failed', reason: broken.reason, detail: broken.detail, ...rest };
  const detail = `all ${plugins.length} plugins failed; the first: ${plugins[0]?.reason}`;
  return { state: 'failed', reason: 'plugins_failed', detail, ...rest };
}

/** One for each break, the last with what was written to stderr. */
function diagnosesOf({ breaks, broken, stderr }: RunEnd): string[] {
  const all = [...breaks, ...(broken === undefined ? [] : [broken])].map(
    ({ reason, detail }) => `${reason}: ${detail}`,
  );
  return all.map((text, index) => (index === all.length - 1 ? `${text}\n${stderr}`.trim() : text));
}

/** Why a run broke off, in our words: what the runner calls a crash is a broken installation when a part of it is not there. */
export function explainBreak<Broken extends Break>(broken: Broken, stderr: string, program: RunnerProgram): Broken {
  const { reason, detail } = broken;
  const crashed = reason === 'crashed' || reason === 'runner_failed';
  const lacksParts = /ModuleNotFoundError|ImportError|SyntaxError|Fatal Python error: init/;
  if (reason === 'runner_unavailable' || (crashed && lacksParts.test(`${detail}\n${stderr}`))) {
    const requirements = join(dirname(program.entry), 'requirements.txt');
    const advice = `Make its environment again (python3 -m venv DIR, then DIR/bin/pip install --require-hashes -r ${requirements}) and analyse again.`;
    return { ...broken, reason: 'runner_unavailable', detail: `${detail.replace(/\.$/, '')}. ${advice}` };
  }
  return crashed ? { ...broken, reason: 'runner_failed' } : broken;
}
