import { setTimeout as sleep } from 'node:timers/promises';
import { type PluginResult, PluginResultSchema, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { documentOf, jsonLine } from '../output/document.ts';
import type { LiveLine } from '../output/live-line.ts';
import { pluginLine, pluginsBrief } from '../render/plugin-progress.ts';
import type { Session } from '../session.ts';
import { followPlugins } from './follow-plugins.ts';

/** How long the last changes may take once the capture is known to have ended. */
const lastWordsMs = 2_000;

/** Shows the plugins of a capture's analysis while it runs. */
export class PluginWatch implements AsyncDisposable {
  readonly #session: Session;
  readonly #left = new AbortController();
  readonly #plugins = new Map<string, PluginResult>();
  #following: Promise<void> | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** How they are, in brief; empty while none is known. */
  get brief(): string {
    return pluginsBrief(this.#plugins.values());
  }

  /** Begins once the image is sealed and its analysis waits or runs. */
  update({ id, phase, analysis }: Capture, line: LiveLine): void {
    const isUnderWay = analysis?.state === AnalysisState.PENDING || analysis?.state === AnalysisState.RUNNING;
    if (phase < Phase.SEALED || !isUnderWay) return;
    this.#following ??= followPlugins(this.#session.results, id, this.#left.signal, (plugins) => {
      for (const plugin of plugins) this.#show(plugin, line);
      line.refresh();
    });
  }

  /** Waits for the last changes of an analysis that has ended. */
  async end(): Promise<void> {
    await Promise.race([this.#following, sleep(lastWordsMs, undefined, { signal: this.#left.signal }).catch(() => {})]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left.abort();
    await this.#following;
  }

  #show(plugin: PluginResult, line: LiveLine): void {
    const { output, terminal } = this.#session;
    const before = this.#plugins.get(plugin.name)?.state ?? PluginState.WAITING;
    this.#plugins.set(plugin.name, plugin);
    if (output === 'jsonl') terminal.out.write(jsonLine({ plugin: documentOf(PluginResultSchema, plugin) }));
    // On a terminal the live line has those that run; what has failed stays to be read.
    if (before !== plugin.state && (!terminal.err.isTty || plugin.state === PluginState.FAILED))
      line.say(pluginLine(plugin));
  }
}
