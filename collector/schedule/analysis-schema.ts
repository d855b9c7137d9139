import * as v from 'valibot';
import { specProblem } from '../analysis/spec.ts';
import type { AnalysisSpec, PluginSpec } from '../capture/capture.ts';
import { exactly, finds, isObject } from '../problems.ts';

const text = v.string('is not a text');
// v.record leaves names such as __proto__ out, and with them what is wrong.
const texts = v.custom<Readonly<Record<string, string>>>(
  (value) => isObject(value) && Object.values(value).every((each) => typeof each === 'string'),
  'is not an object of texts',
);
const plugin = exactly({ name: text, arguments: v.optional(texts) });

const specOf = ({ name, arguments: given }: v.InferOutput<typeof plugin>): PluginSpec =>
  given === undefined ? { name } : { name, arguments: given };

/** The schema of what an analysis runs: {"profile": "deep"}, or {"plugins": [{"name": …, "arguments": {…}}]}. */
export const analysisSchema = v.pipe(
  exactly({ profile: v.optional(text), plugins: v.optional(v.array(plugin, 'is not a list')) }),
  finds(({ profile, plugins }) =>
    (profile === undefined) === (plugins === undefined) ? 'is neither a profile nor plugins, or both' : undefined,
  ),
  v.transform(
    ({ profile, plugins = [] }): AnalysisSpec =>
      profile === undefined ? { plugins: plugins.map(specOf) } : { profile },
  ),
  finds((spec) => {
    const problem = specProblem(spec);
    return problem === undefined ? undefined : `cannot be run: ${problem}`;
  }),
);
