// fault.ts: what can go wrong between a source and its vendor, by name, and what each fault does to the flags.

/** From the wire, through HTTP, to what the vendor stores. */
export const faults = [
  'drop',
  'reset',
  'black-hole',
  'refuse',
  'slow',
  'half-frame',
  'unauthorized',
  'forbidden',
  'not-found',
  'rate-limited',
  'server-error',
  'truncated-json',
  'wrong-shape',
  'empty-set',
  'flag-deleted',
  'flag-archived',
  'wrong-type',
  'older-version',
  'duplicate',
  'reordered',
  'change-in-gap',
  'two-quick-changes',
  'many-targets',
] as const;
export type Fault = (typeof faults)[number];

export interface FaultKind {
  /** What happens, for people. */
  readonly what: string;
  /**
   * No data comes any more, so health must leave `fresh`. For the others it may stay: they must only never be both fresh and
   * wrong.
   */
  readonly cutsData: boolean;
  /** The users whom the fault itself engages: see `FaultHarness.inject`. */
  readonly engages: readonly string[];
}

/** The people of the fault contract. */
export const faultUsers = {
  /** Engaged before the fault; stays so until the release after it. */
  stopped: 'u-1',
  /** Never engaged. */
  bystander: 'u-2',
  /** Engaged at the vendor during each fault: seen at once or after it, never lost. */
  during: 'u-3',
  /** Engaged by the fault itself: `change-in-gap`, and first of the two of `two-quick-changes` and `reordered`. */
  first: 'u-4',
  /** Engaged by the fault itself: second of the two of `two-quick-changes` and `reordered`. */
  second: 'u-5',
} as const;

const { first, second } = faultUsers;
const cut = (what: string): FaultKind => ({ what, cutsData: true, engages: [] });
const kept = (what: string, engages: readonly string[] = []): FaultKind => ({ what, cutsData: false, engages });

export const faultKinds: Readonly<Record<Fault, FaultKind>> = {
  drop: cut('every connection is ended (FIN)'),
  reset: cut('every connection is reset (RST)'),
  'black-hole': cut('connections stay open and nothing passes'),
  refuse: cut('nobody listens'),
  slow: kept('bytes trickle'),
  'half-frame': cut('every answer is cut in its middle'),
  unauthorized: cut('401 to everything'),
  forbidden: cut('403 to everything'),
  'not-found': cut('404 to everything'),
  'rate-limited': cut('429 with Retry-After to everything'),
  'server-error': cut('500 to everything'),
  'truncated-json': kept('200 with half a JSON document'),
  'wrong-shape': kept('200 with valid JSON of another shape'),
  'empty-set': kept('a valid flag set without any flag'),
  'flag-deleted': kept('the engaged global flag is deleted'),
  'flag-archived': kept('the engaged global flag is archived'),
  'wrong-type': kept('the engaged global flag becomes a string'),
  'older-version': kept('data from before the stop arrives after it'),
  duplicate: kept('the last data arrives again'),
  reordered: kept('of two changes the later arrives first', [first, second]),
  'change-in-gap': kept('a change while the connection is away, which comes back by itself', [first]),
  'two-quick-changes': kept('two changes with nothing between them', [first, second]),
  'many-targets': kept('a switch gets 100,000 targets'),
};
