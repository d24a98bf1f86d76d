// stored.ts: what the scripted Unleash holds: flags, what happened to them, and what clients are given of it.

export interface StoredConstraint {
  contextName: string;
  operator: string;
  values: string[];
  inverted?: boolean;
}

export interface StoredStrategy {
  id: string;
  name: string;
  title: string | null;
  disabled: boolean;
  sortOrder: number;
  parameters: Record<string, string>;
  constraints: StoredConstraint[];
  segments: number[];
  variants: unknown[];
}

export interface StoredEnvironment {
  enabled: boolean;
  strategies: StoredStrategy[];
}

export interface StoredFlag {
  name: string;
  type: string;
  description: string | null;
  impressionData: boolean;
  archived: boolean;
  createdAt: string;
  tags: { type: string; value: string }[];
  dependencies: unknown[];
  environments: Map<string, StoredEnvironment>;
  /** Replaces what clients get of the flag, for shapes the real server never sends. */
  raw?: Readonly<Record<string, unknown>>;
}

export interface StoredEvent {
  readonly id: number;
  readonly type: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly featureName?: string;
  readonly environment?: string;
  readonly data?: unknown;
  readonly preData?: unknown;
}

export interface Stored {
  readonly project: string;
  readonly environments: readonly string[];
  readonly flags: Map<string, StoredFlag>;
  readonly events: StoredEvent[];
  /** Id of the last event: the revision in the ETag of what clients get. */
  revision: number;
  readonly now: () => number;
}

export function newStored(project: string, environments: readonly string[], now: () => number): Stored {
  return { project, environments, flags: new Map(), events: [], revision: 1, now };
}

export function record(stored: Stored, createdBy: string, event: Omit<StoredEvent, 'id' | 'createdAt' | 'createdBy'>): void {
  stored.revision++;
  const createdAt = new Date(stored.now()).toISOString();
  stored.events.push({ id: stored.revision, createdAt, createdBy, ...structuredClone(event) });
}

/** The answer of `/api/client/features` for one environment: archived flags are absent, disabled strategies too (unleash-server 7.5.1). */
export function clientPayload(stored: Stored, environment: string): { readonly etag: string; readonly text: string } {
  const features = [...stored.flags.values()]
    .filter((flag) => !flag.archived)
    .map((flag) => {
      const { enabled, strategies } = flag.environments.get(environment)!;
      return {
        name: flag.name,
        type: flag.type,
        enabled,
        project: stored.project,
        stale: false,
        strategies: strategies
          .filter((strategy) => !strategy.disabled)
          .map(({ name, constraints, parameters, variants }) => ({ name, constraints, parameters, variants })),
        variants: [],
        description: flag.description,
        impressionData: flag.impressionData,
        ...(flag.dependencies.length === 0 ? {} : { dependencies: flag.dependencies }),
        ...flag.raw,
      };
    });
  const etag = `"5c817ed0:${stored.revision}:v1"`;
  const query = { project: [stored.project], environment, inlineSegmentConstraints: true };
  const meta = { revisionId: stored.revision, etag, queryHash: '5c817ed0' };
  return { etag, text: JSON.stringify({ version: 2, features, query, meta }) };
}
