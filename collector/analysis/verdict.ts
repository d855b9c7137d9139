import { dirname, join } from 'node:path';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import { type Break, endsAll, type RunEnd } from './run.ts';
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
  // What could not be read, or was not to be, is not told by the plugins that ended before.
  const cutOff = broken !== undefined && endsAll.has(broken.reason);
  const useful = plugins.some((plugin) => plugin.state !== 'failed');
  if (useful && !cutOff) return { state: 'done', reason: '', detail: '', ...rest };
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

/** What to do about what the runner refuses. */
const advice: ReadonlyMap<string, (captureId: string) => string> = new Map([
  ['image_rejected', (id) => `Run kcorder verify ${id}; if the image is intact, capture the node again.`],
  ['kernel_unknown', (id) => `The image is kept: download it (kcorder download ${id}) and analyze it by hand.`],
  ['symbols_mismatch', (id) => `Import the symbols of exactly this build, then kcorder analyze ${id}.`],
  ['symbols_rejected', (id) => `Replace it (kcorder symbols delete, then find or import), then kcorder analyze ${id}.`],
]);

/**
 * Why a run broke off and what to do, in our words: what the runner calls a crash is a broken installation when a part of it is not there.
 */
export function explainBreak<Broken extends Break>(
  broken: Broken,
  captureId: string,
  stderr: string,
  program: RunnerProgram,
): Broken {
  const { reason, detail } = broken;
  const crashed = reason === 'crashed' || reason === 'runner_failed';
  const lacksParts = /ModuleNotFoundError|ImportError|SyntaxError|Fatal Python error: init/;
  if (reason === 'runner_unavailable' || (crashed && lacksParts.test(`${detail}\n${stderr}`))) {
    const requirements = join(dirname(program.entry), 'requirements.txt');
    const advice = `Make its environment again (python3 -m venv DIR, then DIR/bin/pip install --require-hashes -r ${requirements}) and analyse again.`;
    return { ...broken, reason: 'runner_unavailable', detail: `${detail.replace(/\.$/, '')}. ${advice}` };
  }
  if (crashed) return { ...broken, reason: 'runner_failed' };
  const whatToDo = advice.get(reason)?.(captureId);
  return whatToDo === undefined ? broken : { ...broken, detail: `${detail} ${whatToDo}` };
}
