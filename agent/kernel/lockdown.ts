/** State of the kernel's lockdown; `unknown` when it cannot be told from here. */
export type Lockdown = 'none' | 'integrity' | 'confidentiality' | 'unknown';

/** The chosen word of /sys/kernel/security/lockdown, as in `none [integrity] confidentiality`. */
export function parseLockdown(text: string): Lockdown {
  switch (/\[(\w+)\]/.exec(text)?.[1]) {
    case 'none':
      return 'none';
    case 'integrity':
      return 'integrity';
    case 'confidentiality':
      return 'confidentiality';
    default:
      return 'unknown';
  }
}
