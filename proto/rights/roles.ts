/** API group of the virtual resources: they exist in roles and access reviews alone. */
export const group = 'kcorder.dev';

/** Verbs on one virtual resource. */
export interface RoleRule {
  readonly resource: string;
  readonly verbs: readonly string[];
}

/** A ClusterRole that the chart makes, as kcorder-NAME. */
export interface Role {
  readonly name: string;
  /** What it allows, in the words of docs/install.md. */
  readonly summary: string;
  readonly rules: readonly RoleRule[];
}

const viewer: readonly RoleRule[] = [
  { resource: 'captures', verbs: ['get', 'list'] },
  { resource: 'nodes', verbs: ['list'] },
  { resource: 'schedules', verbs: ['get', 'list'] },
  { resource: 'symbols', verbs: ['list'] },
];

/** Every right there is. */
export const admin: Role = {
  name: 'admin',
  summary:
    'everything; also approve captures, create, pause and delete schedules, release and delete evidence, ' +
    'check the store, pin and delete symbols, create join tokens',
  rules: [
    { resource: 'captures', verbs: ['get', 'list', 'create', 'cancel', 'approve'] },
    { resource: 'evidence', verbs: ['download', 'verify', 'hold', 'release', 'delete'] },
    { resource: 'analyses', verbs: ['get', 'create', 'cancel', 'unmask'] },
    { resource: 'nodes', verbs: ['list', 'create'] },
    { resource: 'schedules', verbs: ['get', 'list', 'create', 'pause', 'trigger', 'delete'] },
    { resource: 'stores', verbs: ['check'] },
    { resource: 'symbols', verbs: ['list', 'find', 'pin', 'delete', 'download', 'create'] },
  ],
};

/**
 * The one table of roles, the least of them first. `npm run generate` writes the chart's roles and the table in docs/install.md from it, and
 * `kcorder doctor` reads it.
 */
export const roles: readonly Role[] = [
  { name: 'viewer', summary: 'view captures, nodes, schedules and symbols', rules: viewer },
  {
    name: 'responder',
    summary:
      'what a viewer may; order and cancel captures, trigger schedules, put evidence on hold, analyze, read results',
    rules: [
      ...viewer,
      { resource: 'captures', verbs: ['create', 'cancel'] },
      { resource: 'analyses', verbs: ['get', 'create', 'cancel'] },
      { resource: 'evidence', verbs: ['hold'] },
      { resource: 'schedules', verbs: ['trigger'] },
    ],
  },
  {
    name: 'analyst',
    summary:
      'what a viewer may; analyze, read results also unmasked, download and verify images, find, import and export symbols',
    rules: [
      ...viewer,
      // Whoever may download an image has all that is in it.
      { resource: 'analyses', verbs: ['get', 'create', 'cancel', 'unmask'] },
      { resource: 'evidence', verbs: ['download', 'verify'] },
      { resource: 'symbols', verbs: ['find', 'create', 'download'] },
    ],
  },
  admin,
];
