import manifest from './package.json' with { type: 'json' };

/** Version of this collector. */
export const version: string = manifest.version;
