import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../../tools/setup/build-once.ts';
import { cachePath } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';
import { SetupFailure } from '../../tools/setup/failure.ts';
import { findGo } from '../../tools/setup/go-build.ts';

/** The Kubernetes whose API the chart is checked against. */
const kubernetesVersion = '1.34.4';

interface Schema {
  type?: string | string[];
  format?: string;
  $ref?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
  [other: string]: unknown;
}

const prefix = '#/definitions/';
const eitherOf = new Map<string, string[]>([
  ['io.k8s.apimachinery.pkg.util.intstr.IntOrString', ['integer', 'string']],
  ['io.k8s.apimachinery.pkg.api.resource.Quantity', ['number', 'string']],
]);

/** Folder of strict JSON schemas, GROUP/KIND_VERSION.json (for the core group, whose name is empty, VERSION/KIND_VERSION.json), made of the API description in Kubernetes' own Go module. */
export async function ensureKubernetesSchemas(): Promise<string> {
  return await buildOnce(
    cachePath('kubernetes-schemas', kubernetesVersion),
    `schemas of Kubernetes ${kubernetesVersion}`,
    async (temporaryPath) => {
      try {
        const module = `k8s.io/kubernetes@v${kubernetesVersion}`;
        const answer = await command(await findGo('the check of manifests'), ['mod', 'download', '-json', module], {
          cwd: '/',
        });
        const { Dir } = JSON.parse(answer) as { Dir: string };
        const { definitions } = JSON.parse(readFileSync(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')) as {
          definitions: Record<string, Schema>;
        };
        writeSchemas(definitions, temporaryPath);
      } catch (cause) {
        throw new SetupFailure(
          `cannot make the schemas of Kubernetes ${kubernetesVersion}`,
          'Go modules',
          'Check the network, then try again.',
          cause,
        );
      }
    },
  );
}

function writeSchemas(definitions: Record<string, Schema>, folder: string): void {
  const strict: Record<string, Schema> = {};
  for (const [name, schema] of Object.entries(definitions)) strict[name] = toStrict(name, schema);
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = schema['x-kubernetes-group-version-kind'] ?? [];
    const only = kinds[0];
    // What belongs to many kinds, as DeleteOptions, is sent with requests and never is an object of its own.
    if (only === undefined || kinds.length > 1) continue;
    const group = join(folder, only.group || only.version);
    mkdirSync(group, { recursive: true });
    const text = JSON.stringify({ $ref: prefix + name, definitions: reachable(name, strict) });
    writeFileSync(join(group, `${only.kind.toLowerCase()}_${only.version}.json`), text);
  }
}

/** The schema with every unknown field refused, and both forms of what may be a number or a string. */
function toStrict(name: string, schema: Schema): Schema {
  const either = eitherOf.get(name);
  if (either !== undefined) return { type: either };
  const closed = schema.properties !== undefined && schema.additionalProperties === undefined;
  return closed ? { ...schema, additionalProperties: false } : schema;
}

function reachable(start: string, definitions: Record<string, Schema>): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  const open = [start];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const schema = definitions[name];
    if (schema === undefined || Object.hasOwn(found, name)) continue;
    found[name] = schema;
    for (const [, next] of JSON.stringify(schema).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) open.push(next ?? '');
  }
  return found;
}
