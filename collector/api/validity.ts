import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';

/** When something that is good for a while ends; `validFor` unset means the usual time. Throws invalid_argument. */
export function validity(
  validFor: Duration | undefined,
  { usual, most }: { usual: number; most: number },
  what: string,
): Date {
  const ms = validFor === undefined ? usual : durationMs(validFor);
  if (ms > 0 && ms <= most) return new Date(Date.now() + ms);
  throw new Fault('invalid_argument', `${what} is valid for 1 s to ${most / 3_600_000} h: give such a time`);
}
