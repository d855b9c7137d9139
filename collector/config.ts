import { Fault } from '@kcorder/proto/fault.ts';
import { type Environment, readSettings, type SettingRow, textOf, unknownSettings } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';
import { accessSettings } from './settings/access.ts';
import { analysisSettings } from './settings/analysis.ts';
import { evidenceSettings } from './settings/evidence.ts';

/** All settings of the collector, in the order of their documentation. */
export const settings = v.object({ ...accessSettings, ...evidenceSettings, ...analysisSettings });

const config = v.pipe(
  settings,
  v.transform(({ joinTokens, ...values }) => ({
    ...values,
    joinTokens: joinTokens === 'on' || (joinTokens === 'auto' && values.authority !== 'cluster'),
  })),
  v.readonly(),
);

/** The set-up of a collector, inferred from the rows of settings/. Sizes in bytes, times in milliseconds. */
export type Config = v.InferOutput<typeof config>;

/** Reads the environment. Throws config_invalid that names every error at once; unknown KCORDER_ names are errors. */
export function readConfig(environment: Environment = process.env): Config {
  const { problems, values } = readSettings(config, environment);
  const errors = [
    ...unknownSettings(settings, environment).map((name) => `${name} is unknown`),
    ...problems.map(({ name, value, what }) => `${name}="${value}" ${what}`),
    ...contradictions(environment),
  ];
  if (values === undefined || errors.length > 0)
    throw new Fault('config_invalid', `the environment of the collector is wrong: ${errors.join('; ')}`);
  return values;
}

/** Errors between settings, which no row can see. */
function contradictions(environment: Environment): string[] {
  const { authority, tlsDir, cluster, store } = settings.entries;
  const text = ({ row }: { readonly row: SettingRow }): string => textOf(row, environment);
  const errors: string[] = [];
  if (text(authority) === 'cluster')
    for (const setting of Object.values(cluster.entries).filter((each) => text(each) === ''))
      errors.push(`${setting.row.name} is missing: KCORDER_AUTHORITY=cluster needs it`);
  if (text(authority) === 'none' && text(tlsDir) === '')
    errors.push(
      'KCORDER_TLS_DIR is empty, and there is no authority of its own: set one of KCORDER_TLS_DIR and KCORDER_AUTHORITY',
    );
  if (text(store.entries.kind) === 'gcs' && text(store.entries.bucket) === '')
    errors.push('KCORDER_GCS_BUCKET is missing: KCORDER_STORE=gcs needs it');
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    errors.push(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off: name your authority in NODE_EXTRA_CA_CERTS',
    );
  return errors;
}
