/** One line of /proc/self/mountinfo (proc(5)), as far as it matters here. */
export interface Mount {
  readonly id: string;
  /** The mount that this one lies on. */
  readonly parentId: string;
  /** Whether what is mounted or unmounted on it is in other mount namespaces too. */
  readonly isShared: boolean;
  readonly mountPoint: string;
  /** Path inside the mounted filesystem that forms the root of this mount. */
  readonly root: string;
  readonly filesystem: string;
  readonly source: string;
}

/** The mounts of a mountinfo file in their order; lines of another form are passed over. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ', 2);
    const [id, parentId, , root, mountPoint, , ...tags] = (before ?? '').split(' ');
    const [filesystem, source] = (after ?? '').split(' ');
    if (!id || !parentId || !root || !mountPoint || !filesystem || source === undefined) return [];
    const isShared = tags.some((tag) => tag.startsWith('shared:'));
    const places = { mountPoint: unescaped(mountPoint), root: unescaped(root), source: unescaped(source) };
    return [{ id, parentId, isShared, ...places, filesystem }];
  });
}

/** The kernel writes space, tab, line feed and backslash as three octal digits. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
