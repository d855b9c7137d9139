import { isAbsolute } from 'node:path';
import { inUnit } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';
import { isSafeUrl } from '../safe-url.ts';

const dnsName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');
const unsafeUrl = (text: string): string | undefined => wordsOf(text).find((url) => !isSafeUrl(url));

/** A text that passes a test; a message completes "NAME=value …". */
const text = (passes: (value: string) => boolean, message: string) => v.pipe(v.string(), v.check(passes, message));

/** A text that passes a test, or none. */
const textOrEmpty = (passes: (value: string) => boolean, message: string) =>
  text((value) => value === '' || passes(value), message);

const isAddress = (value: string): boolean => Number(/^.+:(\d{1,5})$/.exec(value)?.[1] ?? Number.NaN) <= 65_535;
export const address = text(isAddress, 'is not host:port');
export const addressOrOff = textOrEmpty(isAddress, 'is not host:port');
export const path = text(isAbsolute, 'is not an absolute path');
export const pathOrEmpty = textOrEmpty(isAbsolute, 'is not an absolute path');
export const anyText = v.string();
export const shortText = text((value) => /^[\x20-\x7e]{0,128}$/.test(value), 'is not 128 printable characters at most');

export const oneOf = <const O extends readonly string[]>(...options: O) =>
  v.picklist(options, `is not one of ${options.join(', ')}`);

/** True for one of two words. */
export const either = (yes: string, no: string) =>
  v.pipe(
    oneOf(no, yes),
    v.transform((value) => value === yes),
  );

export const count = v.pipe(
  text((value) => /^\d{1,15}$/.test(value) && Number(value) > 0, 'is not a positive whole number'),
  v.transform(Number),
);
export const countOrZero = v.pipe(
  text((value) => /^\d{1,15}$/.test(value), 'is not a whole number'),
  v.transform(Number),
);
const times = (factor: number) => v.transform((value: number) => value * factor);
export const bytes = inUnit('bytes', count);
export const bytesOrZero = inUnit('bytes', countOrZero);
/** As ms. */
export const seconds = inUnit('seconds', v.pipe(count, times(1000)));
/** As ms. */
export const secondsOrZero = inUnit('seconds', v.pipe(countOrZero, times(1000)));
/** As ms. */
export const daysOrZero = inUnit('days', v.pipe(countOrZero, times(24 * 3_600_000)));

export const objectName = textOrEmpty((value) => dnsName.test(value), 'is not the name of an object of Kubernetes');
export const dnsNames = v.pipe(
  text(
    (value) => value.split(',').every((name) => dnsName.test(name)),
    'is not a list of DNS names with commas between',
  ),
  v.transform((value) => value.split(',')),
);
export const directories = v.pipe(
  textOrEmpty((value) => value.split(':').every(isAbsolute), 'is not a list of absolute paths with colons between'),
  v.transform((value) => value.split(':').filter((directory) => directory !== '')),
);

/** Checked as https URLs, and kept as one text. */
export const urlsText = v.pipe(
  v.string(),
  v.check(
    (value) => unsafeUrl(value) === undefined,
    ({ input }) => `holds ${unsafeUrl(input)}, which is no https URL`,
  ),
);
export const urls = v.pipe(urlsText, v.transform(wordsOf));
export const cosUrl = v.pipe(
  v.union([v.literal('off'), urlsText]),
  v.transform((value) => (value === 'off' ? '' : value)),
);

export const bucketName = textOrEmpty(
  (value) => /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(value),
  'is not the name of a bucket',
);
export const objectPrefix = textOrEmpty(
  (value) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(value) && value.length <= 256,
  'is not a path of letters, digits, dots, dashes and underscores without a slash at its ends',
);
export const kmsKey = textOrEmpty(
  (value) => /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(value),
  'is not projects/…/locations/…/keyRings/…/cryptoKeys/…',
);
