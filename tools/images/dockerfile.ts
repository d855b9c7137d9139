import { readFileSync } from 'node:fs';

/** What a Dockerfile of ours says: the layers in their order, and how the container is started. */
export interface ImageRecipe {
  /** Names of folders in the context, each of which becomes a layer at `/`. */
  readonly layers: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDir: string;
  readonly entrypoint: readonly string[];
}

const known =
  'FROM scratch, COPY FOLDER/ /, ENV NAME="VALUE", LABEL NAME="VALUE", USER UID:GID, WORKDIR / and ENTRYPOINT ["…"]';

/**
 * Reads a Dockerfile in the small part of the language that ours keep to, in which a build means the same to this builder as to Docker.
 * Throws an error that names file and line for everything else.
 */
export function readDockerfile(path: string): ImageRecipe {
  const layers: string[] = [];
  const env: Record<string, string> = {};
  const labels: Record<string, string> = {};
  let started = false;
  let user: string | undefined;
  let workingDir = '/';
  let entrypoint: string[] | undefined;
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    const refuse = (why: string): Error =>
      new Error(`${path}:${index + 1}: ${why}. This builder takes ${known}; keep to these`);
    // Comments of the form `# name=value` at the top are instructions to Docker.
    if (/^#\s*\w+\s*=/.test(line) && !started) throw refuse(`parser directive "${line}"`);
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, instruction = '', rest = ''] = /^([A-Z]+) (\S.*)$/.exec(line) ?? [];
    if (/[\\$]/.test(line)) throw refuse(`"${line}" has a backslash or a variable`);
    if (!started && line !== 'FROM scratch') throw refuse(`"${line}" stands where FROM scratch must`);
    switch (instruction) {
      case 'FROM':
        if (started) throw refuse('a second FROM');
        started = true;
        break;
      case 'COPY': {
        const folder = /^([a-z][a-z-]*)\/ \/$/.exec(rest)?.[1];
        if (folder === undefined) throw refuse(`COPY "${rest}" is not one folder of the context to /`);
        layers.push(folder);
        break;
      }
      case 'ENV':
      case 'LABEL': {
        const [, name, value] = /^([A-Za-z][\w.-]*)="([^"]*)"$/.exec(rest) ?? [];
        if (name === undefined || value === undefined) throw refuse(`${instruction} "${rest}" is not NAME="VALUE"`);
        (instruction === 'ENV' ? env : labels)[name] = value;
        break;
      }
      case 'USER':
        if (!/^\d+:\d+$/.test(rest)) throw refuse(`USER "${rest}" is not two numbers`);
        user = rest;
        break;
      case 'WORKDIR':
        // Any other directory would become a layer of its own.
        if (rest !== '/') throw refuse(`WORKDIR "${rest}" is not /`);
        workingDir = rest;
        break;
      case 'ENTRYPOINT':
        entrypoint = readWords(rest);
        if (entrypoint === undefined) throw refuse(`ENTRYPOINT "${rest}" is not a list of words in JSON`);
        break;
      default:
        throw refuse(`instruction "${line}" is unknown`);
    }
  }
  for (const [name, value] of Object.entries({ COPY: layers[0], USER: user, ENTRYPOINT: entrypoint })) {
    if (value === undefined)
      throw new Error(`${path}: there is no ${name}. This builder takes ${known}; keep to these`);
  }
  return { layers, env, labels, user: user ?? '', workingDir, entrypoint: entrypoint ?? [] };
}

function readWords(json: string): string[] | undefined {
  try {
    const words: unknown = JSON.parse(json);
    return Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string')
      ? words
      : undefined;
  } catch {
    return undefined;
  }
}
