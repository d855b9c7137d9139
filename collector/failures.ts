/** Returns the errors that one stands for, the first that happened first: whatever is being closed goes on closing after an error. */
export function failuresOf(error: unknown): unknown[] {
  return error instanceof SuppressedError ? [...failuresOf(error.suppressed), ...failuresOf(error.error)] : [error];
}
