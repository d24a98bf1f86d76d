// stored.ts: what GrowthBook stores, as its management API shows it: features with rules and revisions, saved groups with theirs.
//
// Shapes follow the OpenAPI document 4.4.0 (FeatureV2, SavedGroup, SavedGroupRevision), as far as switches need them.

export type ValueType = 'boolean' | 'string' | 'number' | 'json';

/** A rule of the flat v2 list. Values and conditions are JSON written as strings, as the API has them. */
export interface StoredRule {
  id?: string;
  type: string;
  value: string;
  description?: string;
  condition?: string;
  savedGroupTargeting?: { matchType: 'all' | 'any' | 'none'; savedGroups: string[] }[];
  prerequisites?: { id: string; condition: string }[];
  enabled?: boolean;
  allEnvironments?: boolean;
  environments?: string[];
}

export interface StoredFeature {
  id: string;
  archived: boolean;
  description: string;
  owner: string;
  project: string;
  valueType: ValueType;
  defaultValue: string;
  tags: string[];
  rules: StoredRule[];
  environments: Record<string, { enabled: boolean }>;
  prerequisites: string[];
  revision: StoredRevision;
  dateCreated: string;
  dateUpdated: string;
}

export interface StoredRevision {
  version: number;
  comment: string;
  date: string;
  publishedBy: string;
  status: 'published';
  defaultValue: string;
  rules: StoredRule[];
}

export interface StoredGroup {
  id: string;
  type: 'list';
  name: string;
  owner: string;
  attributeKey: string;
  values: string[];
  description: string;
  dateCreated: string;
  dateUpdated: string;
}

export interface GroupRevision {
  id: string;
  version: number;
  title: string;
  status: 'draft' | 'merged' | 'discarded';
  authorId: string;
  reviews: never[];
  activityLog: { action: string; description: string; dateCreated: string }[];
  dateCreated: string;
  dateUpdated: string;
  baseSavedGroup: StoredGroup;
  proposedSavedGroup: StoredGroup;
  proposedChanges: never[];
}

export interface Stored {
  readonly features: Map<string, StoredFeature>;
  /** Published revisions of a feature, oldest first. */
  readonly revisions: Map<string, StoredRevision[]>;
  readonly groups: Map<string, StoredGroup>;
  readonly groupRevisions: Map<string, GroupRevision[]>;
  /** Targeting attributes, by name; `id` is always there. */
  readonly attributes: Set<string>;
}

export function emptyStored(): Stored {
  return { features: new Map(), revisions: new Map(), groups: new Map(), groupRevisions: new Map(), attributes: new Set(['id']) };
}

/** Files the feature's present state as its next published revision. */
export function publishRevision(stored: Stored, feature: StoredFeature, comment: string, by: string, date: string): void {
  const before = stored.revisions.get(feature.id) ?? [];
  const revision: StoredRevision = {
    version: before.length + 1,
    comment,
    date,
    publishedBy: by,
    status: 'published',
    defaultValue: feature.defaultValue,
    rules: structuredClone(feature.rules),
  };
  feature.revision = revision;
  feature.dateUpdated = date;
  stored.revisions.set(feature.id, [...before, revision]);
}
