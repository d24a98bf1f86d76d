// flag-set.ts: one version of a flag file, evaluated by flagd-core.
//
// flagd-core would take the file whole: one bad flag and nothing is loaded, one raised revision and every flag counts as
// changed. So each flag goes through flagd-core's own parser by itself, and what did not change is kept compiled.

import type { Logger } from '@openfeature/core';
import { type FeatureFlag, FlagdCore, MemoryStorage } from '@openfeature/flagd-core';
import { type FlagDocument, isObject, type Json, type JsonObject, parseDocument, revisionKey } from './document.ts';
import type { LintFinding } from './finding.ts';
import { isDisabled, lintFlag, type SwitchFacts } from './lint.ts';

/** What flagd-core says while loading is said better by our lint; while evaluating it must not write to the console. */
export const silentLogger: Logger = { error() {}, warn() {}, info() {}, debug() {} };

interface Compiled {
  /** What it was made from: equal prints, equal flag. Formatting does not count, references do. */
  readonly print: string;
  readonly feature: FeatureFlag | undefined;
  /** Why flagd-core refused it. */
  readonly refusal: string | undefined;
}

export interface FlagSet {
  readonly document: FlagDocument;
  /** flagd-core over exactly these flags. The revision is not in their metadata. */
  readonly core: FlagdCore;
  readonly revision: number;
  /** Print of the flag set's metadata without the revision. */
  readonly metadataPrint: string;
  readonly compiled: ReadonlyMap<string, Compiled>;
  /** Whether a switch can be read from this set, and if not, why. Judged once and remembered. */
  readable(key: string, facts: SwitchFacts): Readable;
}

export type LoadedFlagSet = { readonly ok: true; readonly set: FlagSet } | { readonly ok: false; readonly finding: LintFinding };

/** `previous` lends what did not change; it stays valid itself. */
export function loadFlagSet(text: string, previous?: FlagSet): LoadedFlagSet {
  const parsed = parseDocument(text);
  if (!parsed.ok) return parsed;
  const { document } = parsed;
  const metadata = Object.fromEntries(Object.entries(document.metadata).filter(([key]) => key !== revisionKey));
  const metadataPrint = JSON.stringify(metadata);
  const references = JSON.stringify(document.evaluators);
  const mayKeep = previous?.metadataPrint === metadataPrint;
  const compiled = new Map<string, Compiled>();
  const fresh: [key: string, flag: Json, print: string][] = [];
  for (const [key, flag] of Object.entries(document.flags)) {
    const body = JSON.stringify(flag);
    const print = body.includes('"$ref"') ? `${body}\n${references}` : body;
    const before = mayKeep ? previous?.compiled.get(key) : undefined;
    if (before?.print === print) compiled.set(key, before);
    else fresh.push([key, flag, print]);
  }
  const shared = { $evaluators: document.evaluators, metadata };
  for (const [key, one] of compile(fresh, shared)) compiled.set(key, one);

  const features = new Map([...compiled].flatMap(([key, one]) => (one.feature ? [[key, one.feature] as const] : [])));
  const storage = {
    setConfigurations: (): string[] => [],
    getFlag: (key: string) => features.get(key),
    getFlags: () => features,
    getFlagSetMetadata: () => metadata as Record<string, string | number | boolean>,
  };
  const judged = new Map<string, { readonly facts: SwitchFacts; readonly verdict: Readable }>();
  const set: FlagSet = {
    document,
    core: new FlagdCore(storage, silentLogger, { disableDynamicCodeGeneration: true }),
    revision: document.revision,
    metadataPrint,
    compiled,
    readable(key, facts) {
      const known = judged.get(key);
      if (known?.facts === facts) return known.verdict;
      const verdict = judge(document, compiled.get(key), key, facts);
      judged.set(key, { facts, verdict });
      return verdict;
    },
  };
  return { ok: true, set };
}

type Shared = { readonly $evaluators: JsonObject; readonly metadata: JsonObject };

function* compile(fresh: readonly [string, Json, string][], shared: Shared): Iterable<[string, Compiled]> {
  // One pass for all, which is what happens; one by one only to find out which flag flagd-core refuses.
  const together = fresh.length > 0 ? parseWithFlagd(fresh, shared) : undefined;
  for (const one of fresh) {
    const [key, , print] = one;
    const result = together instanceof Map ? together : parseWithFlagd([one], shared);
    if (result instanceof Map) yield [key, { print, feature: result.get(key), refusal: undefined }];
    else yield [key, { print, feature: undefined, refusal: result }];
  }
}

function parseWithFlagd(flags: readonly [string, Json, string][], shared: Shared): Map<string, FeatureFlag> | string {
  const storage = new MemoryStorage(silentLogger, { disableDynamicCodeGeneration: true });
  try {
    storage.setConfigurations(JSON.stringify({ ...shared, flags: Object.fromEntries(flags.map(([key, flag]) => [key, flag])) }));
    return storage.getFlags();
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** The keys whose definition differs: added, removed or changed. A raised revision changes none. */
export function changedKeys(before: FlagSet | undefined, after: FlagSet): readonly string[] {
  const changed = [...after.compiled].filter(([key, one]) => before?.compiled.get(key)?.print !== one.print).map(([key]) => key);
  const removed = [...(before?.compiled.keys() ?? [])].filter((key) => !after.compiled.has(key));
  return [...changed, ...removed];
}

export type Readable =
  | { readonly ok: true; readonly feature: FeatureFlag }
  | { readonly ok: false; readonly cause: 'not-found' | 'wrong-type' | 'untargeted' | 'error'; readonly finding: LintFinding };

function judge(document: FlagDocument, compiled: Compiled | undefined, key: string, facts: SwitchFacts): Readable {
  const errors = lintFlag(document, key, facts).filter((one) => one.severity === 'error');
  const [first] = errors;
  if (!compiled && first) return { ok: false, cause: 'not-found', finding: first };
  // A person switched the flag off in the tool: flagd has no value for it, so neither have we. It never releases.
  const disabled = isDisabled(document, key) ? errors.find((one) => one.code === 'disabled') : undefined;
  if (disabled) return { ok: false, cause: 'not-found', finding: disabled };
  const typed = errors.find((one) => one.code === 'wrong-type');
  if (typed) return { ok: false, cause: 'wrong-type', finding: typed };
  const untargeted = errors.find((one) => one.code === 'untargeted');
  if (untargeted) return { ok: false, cause: 'untargeted', finding: untargeted };
  if (first) return { ok: false, cause: 'error', finding: first };
  if (compiled?.feature) return { ok: true, feature: compiled.feature };
  const finding: LintFinding = {
    code: 'bad-flag',
    severity: 'error',
    message: `flagd refuses the flag: ${compiled?.refusal ?? 'unreadable'}`,
    ...document.at(document.flagsNode.offset),
    flag: key,
  };
  return { ok: false, cause: 'error', finding };
}

/** The metadata of one flag as it stands in the file, for reasons and names. */
export function flagMetadata(document: FlagDocument, key: string): JsonObject {
  const flag = Object.hasOwn(document.flags, key) ? document.flags[key] : undefined;
  return isObject(flag) && isObject(flag.metadata) ? flag.metadata : {};
}
