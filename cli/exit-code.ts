/** How the command line ends, as scripts see it. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  timeout: 124,
  interrupted: 130,
} as const;
