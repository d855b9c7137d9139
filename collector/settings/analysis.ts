import { setting } from '@kcorder/proto/settings.ts';
import {
  addressOrOff,
  anyText,
  bytes,
  cosUrl,
  countOrZero,
  directories,
  either,
  oneOf,
  path,
  seconds,
  urls,
} from './kinds.ts';

/** Symbols and analyses. */
export const analysisSettings = {
  symbolDirs: setting('KCORDER_SYMBOL_DIRS', directories, '', 'directories of symbol files, separated by colons'),
  symbolBuckets: setting(
    'KCORDER_SYMBOL_BUCKETS',
    urls,
    '',
    'https URLs of buckets that hold symbol files, separated by blanks',
  ),
  cosUrl: setting(
    'KCORDER_COS_URL',
    cosUrl,
    'https://storage.googleapis.com/cos-tools',
    'https URL of the symbols of Container-Optimized OS: the public bucket or a mirror; `off`: not asked',
  ),
  debuginfodUrls: setting('KCORDER_DEBUGINFOD_URLS', urls, '', 'https URLs of debuginfod servers, separated by blanks'),
  symbolCacheBytes: setting(
    'KCORDER_SYMBOL_CACHE_BYTES',
    bytes,
    String(8 * 2 ** 30),
    'limit of kept symbols; beyond it, or beyond 2,000 of them, the least recently used are deleted, unless pinned',
  ),
  symbolsListen: setting(
    'KCORDER_SYMBOLS_LISTEN',
    addressOrOff,
    '',
    'host:port at which kept symbols are offered to any Volatility, by plain HTTP',
  ),
  dwarf2json: setting(
    'KCORDER_DWARF2JSON',
    anyText,
    '',
    'path of `dwarf2json`, run on a `vmlinux` that the own builder refuses; not a script',
  ),
  python: setting('KCORDER_PYTHON', path, '/usr/bin/python3', 'absolute path of the Python that has Volatility'),
  analysisMemoryBytes: setting(
    'KCORDER_ANALYSIS_MEMORY_BYTES',
    bytes,
    String(4 * 2 ** 30),
    'memory limit of an analysis, and of the address space of each of its processes',
  ),
  analysisProfile: setting(
    'KCORDER_ANALYSIS_PROFILE',
    oneOf('quick', 'standard', 'deep'),
    'standard',
    'profile of analyses that name neither a profile nor plugins: `quick`, the processes with their sockets; `standard`; `deep`, also every mapping, stack and cached file, and scans of the memory',
  ),
  analysisWorkers: setting(
    'KCORDER_ANALYSIS_WORKERS',
    countOrZero,
    '0',
    'how many plugins run at the same time; `0`: one per processor, up to four',
  ),
  analysisSpares: setting(
    'KCORDER_ANALYSIS_SPARES',
    countOrZero,
    '1',
    'how many analysis processes are kept ready, each with the symbols of a kernel (up to some 200 MB) and for 15 min; `0`: none',
  ),
  pluginMs: setting('KCORDER_PLUGIN_SECONDS', seconds, '300', 'time limit of one plugin'),
  analysisMustBeConfined: setting(
    'KCORDER_ANALYSIS_CONFINEMENT',
    either('required', 'best-effort'),
    'best-effort',
    '`required`: an analysis fails before it reads the image, unless the kernel can confine it in full',
  ),
  analysisAccelerated: setting(
    'KCORDER_ANALYSIS_ACCELERATED',
    either('true', 'false'),
    'true',
    "`false`: Volatility's own code paths alone; slower, with the same rows",
  ),
};
