/** What one analysis may use. */
export interface AnalysisLimits {
  /** For one plugin, and for loading the kernel before the first. */
  readonly pluginWallMs: number;
  readonly wallMs: number;
  /** Address space of the runner, and its resident memory with that of whatever it starts. */
  readonly memoryBytes: number;
  /** Largest file that the runner may write. */
  readonly fileBytes: number;
  /** What the runner may print in all; what was thrown away with failed plugins counts half. */
  readonly outputBytes: number;
  /** Holds a batch of lines.py. */
  readonly lineBytes: number;
}

export const defaultLimits: AnalysisLimits = {
  pluginWallMs: 300_000,
  wallMs: 1_200_000,
  memoryBytes: 4 * 2 ** 30,
  fileBytes: 256 * 2 ** 20,
  outputBytes: 256 * 2 ** 20,
  lineBytes: 2 * 2 ** 20,
};
