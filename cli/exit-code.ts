/** How the command line ends, as scripts see it. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  timeout: 124,
  interrupted: 130,
} as const;

const fromGoodToBad: readonly number[] = [
  exitCode.ok,
  exitCode.partial,
  exitCode.timeout,
  exitCode.usage,
  exitCode.failure,
  exitCode.interrupted,
];

/** The exit code of several things done at once. */
export function worstOf(codes: readonly number[]): number {
  return codes.reduce<number>(
    (worst, code) => (fromGoodToBad.indexOf(code) > fromGoodToBad.indexOf(worst) ? code : worst),
    exitCode.ok,
  );
}
