const times = Number(process.env.KCORDER_FUZZ ?? 1);

/** How often random input is tried: so often in every run of the tests, and many times that in `./dev soak fuzz`, which sets KCORDER_FUZZ. */
export const fuzzRuns = (count: number): number => count * times;
